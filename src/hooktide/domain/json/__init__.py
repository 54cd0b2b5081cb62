"""JSON: what a payload must be, how one is encoded, and what its schema costs to check.

``payload`` has the rules, ``encoding`` writes Python values for the clients and the library,
``pointer`` names a place in a document, and ``schema_cost`` bounds the work of a JSON Schema.
"""
