"""JSON: the rules for payloads, how they are encoded, and what checking a schema costs.

``payload`` has the rules, ``encoding`` writes Python values for the clients and the library,
``members`` reads a part of a payload, ``pointer`` names a place in a document, and ``schema_cost``
bounds the work of a JSON Schema.
"""
