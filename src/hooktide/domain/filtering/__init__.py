"""Which events an endpoint gets, beyond their type: by a filter on the payload."""
