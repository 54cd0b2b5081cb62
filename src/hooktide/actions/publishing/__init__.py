"""Publishing, from whichever side an event comes.

``publish`` is the one way in; ``publish_by_hand`` takes it from the dashboard, and ``outbox_ingest`` for
rows that applications wrote themselves, of which ``refused_rows`` shows those that were not
accepted.
"""
