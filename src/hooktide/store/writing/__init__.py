"""What a batch of writes means, whichever database it goes to.

``batch`` collects events and attempts on their way in, ``fanout`` makes deliveries of an event,
``usage`` counts them for a plan's limit, and ``failures`` and ``rests`` say what attempts mean for
their endpoint.
"""
