"""Access to the database file: connections, transactions, the write-ahead log.

``connection`` opens the file for the server. ``dialect`` translates the common statements to
SQLite, ``transactions`` runs them, and ``checkpoint`` copies the write-ahead log into the file.
"""
