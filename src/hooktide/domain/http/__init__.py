"""HTTP rules: where a webhook may be sent, and the headers that it may carry.

``address`` has the grammar of target URLs and the addresses that are refused, ``headers`` the
headers that a project or an endpoint may add, and ``head`` reads the header fields of a raw head.
"""
