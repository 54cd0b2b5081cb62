"""Maintenance of a database of either kind, mostly while servers use it.

``migrate`` loads the migrations, ``invariants`` has the checks of ``hooktide audit``, ``sealed``
reseals secrets with another key, and ``storage_usage`` measures each project's data.
"""
