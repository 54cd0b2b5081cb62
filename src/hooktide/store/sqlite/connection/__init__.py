"""How the database file is opened: connections, transactions, the write-ahead log.

``connection`` opens the file for the server. ``dialect`` makes SQLite's statements of the common
ones, ``transactions`` runs them, and ``checkpoint`` moves the write-ahead log into the file.
"""
