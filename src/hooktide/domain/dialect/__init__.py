"""A provider's wire format as data, and the envelopes and signatures built with it.

``dialect`` reads the format from its file, ``template`` is the notation of its texts, ``envelope``
writes the JSON around a payload, and ``signing`` creates and verifies signatures.
"""
