"""Publishing an event, whichever way it arrives.

``publish`` is the only entry point; ``publish_by_hand`` uses it for the dashboard, and
``outbox_ingest`` for rows that applications wrote themselves. ``refused_rows`` has the rows that
were not accepted.
"""
