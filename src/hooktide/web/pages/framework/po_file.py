"""Reads a catalogue of translations (gettext's ``.po``), as Babel writes it."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

Entry = tuple[str, Sequence[str]]


def read_po(text: str) -> Mapping[str, Sequence[str]]:
    """Return the translations of a catalogue: one of each message, or one for each plural form.

    What is not translated, or marked as fuzzy, is left out.
    """
    return {message: said for message, said in _entries(text) if message and all(said)}


def _entries(text: str) -> Iterator[Entry]:
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if not line.startswith("#~")]
        if any(line.startswith("#,") and "fuzzy" in line for line in lines):
            continue
        fields = _fields(lines)
        if "msgid" in fields:
            said = [each for name, each in fields.items() if name.startswith("msgstr")]
            yield fields["msgid"], said


def _fields(lines: Sequence[str]) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("#"):
            continue
        if not line.startswith('"'):
            name, _, line = line.partition(" ")
        fields[name] = fields.get(name, "") + str(ast.literal_eval(line))
    return fields
