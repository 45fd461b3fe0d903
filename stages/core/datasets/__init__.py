"""Readers of data sets as others lay them out, one file a layout.

Shared by build-moments, which stops at the first fault, and check, which lists all of them.
"""
