"""How PostgreSQL is spoken to: connections, transactions, notifications.

``connection`` keeps a few connections with deadlines, and ``dedicated`` opens one for what takes
long. ``dialect`` makes PostgreSQL's statements of the common ones, ``transactions`` runs them, and
``notifier`` tells the other processes of changes.
"""
