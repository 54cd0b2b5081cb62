"""Events and their deliveries, from acceptance to retention.

``events`` and ``deliveries`` read them, ``waiting_deliveries`` releases and counts those that wait,
``replays`` creates new ones of old events, ``stats`` counts, and ``retention`` drops expired ones.
"""
