"""A delivery from its event to its verdict: composed as a request, judged by its outcome, retried.

``compose`` builds the request's bytes, ``verdict`` decides what an attempt's outcome means,
``backoff`` and ``rest`` decide when the next attempt may start, and ``hints`` and ``body_text``
explain attempts to people.
"""
