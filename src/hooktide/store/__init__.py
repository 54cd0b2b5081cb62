"""Storage. ``contract`` is the interface, ``sqlite`` an embedded file, ``postgres`` a PostgreSQL
database."""
