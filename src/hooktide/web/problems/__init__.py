"""Errors as RFC 9457 problems: ``problems`` makes them, ``problem_table`` explains each kind."""
