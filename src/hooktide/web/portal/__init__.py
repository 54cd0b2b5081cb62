"""The customer portal: a customer sets up and debugs their webhooks, from a link, without a login.

``links`` makes and reads the links, ``door`` lets in and answers, and each other module is a page:
``home`` (endpoints and usage), ``adding``, ``editing``, ``endpoint``, ``acting`` (what is done to
one endpoint), ``deliveries``, ``replaying``. All changes go through ``actions``, as the API's do.
"""
