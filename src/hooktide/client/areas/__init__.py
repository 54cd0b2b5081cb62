"""The operations of the API, each written once for both clients. A module for each part of it."""
