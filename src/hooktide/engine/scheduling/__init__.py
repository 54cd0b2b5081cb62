"""Which delivery is sent next, decided without a clock, a socket or randomness.

``scheduler`` decides, ``lanes`` has the order of an endpoint's deliveries, and ``polling`` decides
what to read from the store next; ``known_rests`` and ``due_times`` hold what this process knows
about the store.
"""
