"""Search in what payloads say."""
