"""The outbox: an event is a row that commits with the change it tells of, or not at all.

``row`` makes such a row, for ``hooktide.sqlalchemy`` and ``hooktide.django`` to write. ``relay``
moves rows to Hooktide, in order, and forgets each only once it was accepted; ``sqlite`` and
``postgres`` are where it takes them from.
"""
