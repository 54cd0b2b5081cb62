"""How SQL is written once for both databases.

``queries`` reads the files of statements, ``transaction`` runs them, ``repository`` is what the
stores' nouns have in common, and ``lists`` pages through rows.
"""
