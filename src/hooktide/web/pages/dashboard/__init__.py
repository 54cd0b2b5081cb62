"""The operator's pages under ``/dashboard``: what is going on, and what can be done about it.

``session`` knows who is logged in, ``login`` lets them in, ``routes`` lists the pages, one module
each; those that the portal has as well are in ``pages.views``.
"""
