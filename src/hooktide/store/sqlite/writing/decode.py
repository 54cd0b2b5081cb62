"""Reads the JSON in which SQLite returns many rows at once: each row that a statement returns would
cost a switch of the interpreter lock.
"""

import msgspec

from hooktide.domain.model import Origin

read_claimable = msgspec.json.Decoder(
    list[tuple[int, int, int, Origin, int, int, int, str, str, int, int, str]]
).decode
"""``claimable``: the payload is text here."""
read_pairs = msgspec.json.Decoder(list[tuple[int, int | None]]).decode
read_ids = msgspec.json.Decoder(list[int]).decode
