"""The logic of a batch of writes, for either database.

``batch`` collects incoming events and attempts, ``fanout`` creates an event's deliveries, ``usage``
counts them for a plan's limit, and ``failures`` and ``rests`` apply attempts to their endpoints.
"""
