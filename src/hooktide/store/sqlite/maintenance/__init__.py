"""Maintenance of a database file, mostly while its server uses it.

``read_only`` opens the file, ``backup`` copies it, and ``migrating`` migrates its schema.
"""
