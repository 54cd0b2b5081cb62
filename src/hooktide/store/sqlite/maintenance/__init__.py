"""What commands do to a database file, mostly while its server uses it.

``read_only`` opens the file for them, ``backup`` copies it, and ``migrating`` brings its schema up
to date.
"""
