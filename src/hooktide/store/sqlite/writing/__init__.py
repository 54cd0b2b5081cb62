"""The hot path: events, claims and attempts, written to SQLite by one thread in batches.

``writer`` is the thread, ``batch`` one transaction of it, ``batch_writer`` writes events and
attempts, and ``queue`` claims what is due.
"""
