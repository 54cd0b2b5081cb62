"""The customer portal: a customer sets up and debugs their webhooks, from a link, without a login.

``session`` lets in, ``routes`` lists the pages: ``home`` (endpoints and usage), ``streams``, and
those that the dashboard has as well (``pages.views``).
"""
