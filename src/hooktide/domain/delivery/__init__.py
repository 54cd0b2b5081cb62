"""A delivery from its event to its verdict: composed as a request, judged by what came back,
retried.

``compose`` makes the request's bytes, ``verdict`` says what an attempt's outcome means, ``backoff``
and ``rest`` say when the next attempt may be, and ``hints`` and ``body_text`` explain it to people.
"""
