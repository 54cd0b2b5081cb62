"""The documentation site: ``docs/``, with the reference that is generated from the code.

``python -m docsite`` (``make docs``) lays out the pages in ``build/docs`` (``staging``), fills in
what is generated (``reference``), has MkDocs build ``build/site`` with warnings as errors, and
checks every link of the result (``links``).
"""
