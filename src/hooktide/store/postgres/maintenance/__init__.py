"""What commands do to a PostgreSQL database, mostly while servers use it.

``reading`` opens the connections of commands, and ``migrating`` brings the schema up to date.
"""
