"""The models of the API, shared by the server, the clients and the OpenAPI document.

A module for each area. Requests with unknown members are refused; unknown members in responses of a
newer server are ignored. Only msgspec is imported, neither server nor client.
"""
