"""A provider's wire format as data, and what is made with it: envelopes and signatures.

``dialect`` reads the format from its file, ``template`` is the notation of its texts, ``envelope``
writes the JSON around a payload, and ``signing`` makes signatures and checks them.
"""
