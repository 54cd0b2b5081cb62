"""The public docs of a project: how its webhooks work, generated from its configuration.

Its words are in ``templates/guide/*.md``. ``guide`` says what they may fill in and writes them as
Markdown (``markdown``), of which ``page`` makes HTML. ``openapi`` and ``asyncapi`` say the same to
machines. All of it is pure: a project and the server's address in, text out. ``routes`` serves it.
"""
