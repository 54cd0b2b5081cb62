"""What the portal and the dashboard both show: endpoints, their deliveries, replays and secrets.

A view is written once; the session decides what it reaches. Where the two differ in words or looks,
each skin has a template of its own by the same name.
"""
