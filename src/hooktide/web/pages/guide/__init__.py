"""The public docs of a project: how its webhooks work, written from what the project is.

``guide`` says it once, as blocks of text, tables and code (``blocks``); ``render`` writes that as
HTML and as Markdown. ``openapi`` and ``asyncapi`` say the same to machines. All of it is pure: a
project and the server's address in, text out. ``pages`` serves it.
"""
