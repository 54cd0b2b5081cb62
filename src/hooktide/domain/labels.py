"""Channels, tags and metadata: what a product attaches to events, endpoints and accounts.

Channels decide who gets an event; tags and metadata only say what a thing is.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from hooktide.domain.errors import InvalidError
from hooktide.domain.json.pointer import escaped
from hooktide.domain.phrase import phrase

MAX_CHANNELS = 10
"""How many channels an endpoint may have."""
MAX_EVENT_CHANNELS = 5
MAX_TAGS = 10
MAX_LABEL_LENGTH = 128
"""Characters of a channel or a tag."""
MAX_METADATA_BYTES = 4096
"""Bytes of an object's metadata, written as compact JSON."""
MAX_METADATA_NAME_LENGTH = 100

_CHANNEL = re.compile(r"[a-zA-Z0-9\-_.]+")
_TAG = re.compile(r"[a-zA-Z0-9\-_.:/#]+")
_NO_NAME = re.compile(
    "[:\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]|^\\s|\\s$"
)
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def check_channels(channels: Sequence[str], most: int = MAX_CHANNELS) -> tuple[str, ...]:
    """Return the channels of an endpoint, or of an event, each once.

    :raises InvalidError: ``invalid_channels``: one is malformed, or there are more than ``most``.
    """
    rule = phrase(
        "a channel is 1 to {count} characters: letters, digits, and - _ .", count=MAX_LABEL_LENGTH
    )
    return _checked(channels, most, "channel", _CHANNEL, rule)


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the tags of an event, each once.

    :raises InvalidError: ``invalid_tags``: one is malformed, or there are too many.
    """
    rule = f"a tag is 1 to {MAX_LABEL_LENGTH} characters: letters, digits, and - _ . : / #"
    return _checked(tags, MAX_TAGS, "tag", _TAG, rule)


def _checked(
    labels: Sequence[str], most: int, kind: str, form: re.Pattern[str], rule: str
) -> tuple[str, ...]:
    for number, label in enumerate(labels):
        if not form.fullmatch(label) or len(label) > MAX_LABEL_LENGTH:
            raise InvalidError(f"invalid_{kind}s", rule, pointer=f"/{kind}s/{number}")
    found = tuple(dict.fromkeys(labels))
    if len(found) > most:
        raise InvalidError(
            f"invalid_{kind}s",
            phrase("{most} at most; there are {count}", most=most, count=len(found)),
            pointer=f"/{kind}s",
        )
    return found


def is_addressed(endpoint_channels: Iterable[str], event_channels: Iterable[str]) -> bool:
    """Whether an endpoint gets an event as far as channels go: it has none, or they share one."""
    own = frozenset(endpoint_channels)
    return not own or not own.isdisjoint(event_channels)


def check_metadata(
    metadata: Mapping[str, str], most: int = MAX_METADATA_BYTES
) -> tuple[tuple[str, str], ...]:
    """Return an object's metadata as it is kept: names with texts.

    :raises InvalidError: ``invalid_metadata``: a name or a text is malformed, or all of it is
    larger than ``most`` bytes.
    """
    for name, value in metadata.items():
        if not 1 <= len(name) <= MAX_METADATA_NAME_LENGTH or _NO_NAME.search(name):
            why = phrase(
                "a name has 1 to {count} characters, without colons, control and direction "
                "characters, and without spaces at its ends",
                count=MAX_METADATA_NAME_LENGTH,
            )
        elif _CONTROL.search(value.replace("\n", " ").replace("\t", " ")):
            why = phrase("a value has no control characters but line breaks and tabs")
        else:
            continue
        raise InvalidError("invalid_metadata", why, pointer=f"/metadata/{escaped(name[:64])}")
    size = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
    if metadata and size > most:
        raise InvalidError(
            "invalid_metadata",
            phrase("{most} bytes as JSON at most; it has {size}", most=most, size=size),
            pointer="/metadata",
        )
    return tuple(metadata.items())


def read_metadata_filter(text: str) -> tuple[str, str]:
    """Read what a list is filtered by: a name and a value, as in ``tier:gold``.

    :raises InvalidError: ``invalid_query``: there is no colon.
    """
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidError(
            "invalid_query", "give a name and a value, like tier:gold", pointer="/metadata"
        )
    return name, value
