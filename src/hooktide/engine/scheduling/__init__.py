"""Which delivery goes out next, decided without a clock, a socket or chance.

``scheduler`` decides, ``lanes`` has the order of an endpoint's deliveries, and ``polling`` says
what to read from the store next; ``known_rests`` and ``due_times`` are what this process knows of
the rest.
"""
