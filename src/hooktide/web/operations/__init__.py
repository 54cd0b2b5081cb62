"""How an operation of the API is declared, and the document that is made of all of them.

``operation`` is the declaration, ``deps`` what each has at hand, ``pagination`` and
``response_values`` what their answers share, and ``openapi`` writes the OpenAPI document.
"""
