"""What goes over the wire: the models of the API, its clients and its OpenAPI document, one set.

A module for each area. Requests refuse members that they do not know; answers of a newer server are
read without what it has added. Nothing but msgspec is imported, neither a server nor a client.
"""
