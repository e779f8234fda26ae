"""Lineage: which rows were made from which.

`links` derives from the table declarations how rows refer to the rows they were made from, `walk` follows these links
from one row, and `nodes` holds what it finds.
"""
