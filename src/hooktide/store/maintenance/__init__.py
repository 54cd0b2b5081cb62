"""What commands do to a database of either kind, mostly while servers use it.

``migrate`` applies migrations, ``invariants`` is what ``hooktide audit`` checks, ``sealed`` opens
and seals secrets with another key, and ``storage_usage`` counts what is kept.
"""
