"""The contract between stages: errors, tables, receipts, directories and layouts.

Imports nothing but the standard library, numpy and pyarrow; nothing here knows a stage.
"""
