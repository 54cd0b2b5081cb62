"""Instants, spans, and when a clock may be trusted to delete.

``times`` reads and writes instants, ``spans`` reads spans such as ``5m``, and ``retention`` decides
when what is past its time may be dropped. Nothing here asks a clock: the time comes in as an
argument.
"""
