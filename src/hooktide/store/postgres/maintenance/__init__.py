"""Maintenance of a PostgreSQL database, mostly while servers use it.

``reading`` opens the connections of commands, and ``migrating`` migrates the schema.
"""
