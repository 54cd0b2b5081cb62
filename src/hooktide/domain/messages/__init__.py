"""Human-readable alternatives to a webhook: chat messages and mail.

``message`` picks a title, a few fields and a link from an event; ``slack``, ``discord`` and
``teams`` format it for their service, ``chat`` tells which of them a URL belongs to, and ``mail``
formats mail.
"""
