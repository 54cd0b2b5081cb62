"""The operator's pages under ``/dashboard``: what is going on, and what can be done about it.

``routes`` lists the pages, one module each; ``page`` declares one, ``answer`` is what happens
around each of them: who is asking, may they, was the form ours, and what went wrong.
"""
