"""SQL written once for both databases.

``queries`` reads the files of statements, ``transaction`` runs them, ``repository`` is the base
class of the stores' repositories, and ``lists`` pages through rows.
"""
