"""The operator's pages under ``/dashboard``: what is going on, and what can be done about it.

``session`` holds the login session, ``login`` the login pages, and ``routes`` lists the pages, one
module each; those shared with the portal are in ``pages.views``.
"""
