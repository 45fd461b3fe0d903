"""Readers of data sets, and the checks of their parts against each other.

Shared by build-moments, which stops at the first fault, and check, which lists all of them.
"""
