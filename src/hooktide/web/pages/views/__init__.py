"""Views shared by the portal and the dashboard: endpoints, their deliveries, replays and secrets.

A view and its template (``templates/views``) are written once; the session decides what they reach,
and ``request.one_account`` whether a customer reads them or an operator. A skin has its base
template, which gives a page its frame.
"""
