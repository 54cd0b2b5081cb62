"""The outbox: an event is a row that commits together with the change it reports, or not at all.

``row`` builds such a row, for ``hooktide.sqlalchemy`` and ``hooktide.django`` to write. ``relay``
moves rows to Hooktide, in order, and deletes each only once it was accepted; ``sqlite`` and
``postgres`` read them from the database.
"""
