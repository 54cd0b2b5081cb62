"""Events and their deliveries, from the row that waits to the row that is dropped.

``events`` and ``deliveries`` read them, ``waiting_deliveries`` releases and counts those that wait,
``replays`` makes new ones of old events, ``stats`` counts, and ``retention`` drops what is past its
time.
"""
