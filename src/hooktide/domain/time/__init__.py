"""Instants, spans, and when a clock may be trusted to delete.

``times`` reads and writes instants, ``spans`` reads spans such as ``5m``, and ``retention`` decides
when expired data may be dropped. Nothing here reads a clock: the time is an argument.
"""
