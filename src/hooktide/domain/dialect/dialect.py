"""A dialect: a provider's wire format as data.

It defines how requests are signed, which fixed headers they carry, and the envelope around the
payload. ``domain.dialect.signing``, ``domain.dialect.envelope`` and ``domain.delivery.compose``
turn it into bytes.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from hooktide.domain.errors import InvalidError
from hooktide.domain.http.headers import MAX_HEADERS, check_header, header_lines
from hooktide.domain.json.payload import check_payload
from hooktide.domain.toml_table import Table

STANDARD_HEADERS = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature"})
"""The headers of the Standard Webhooks specification."""

BARE_PAYLOAD = "payload"
"""No envelope: the body is the payload."""

MAX_LEVELS = 16


class Algorithm(StrEnum):
    """The keyed hash of a signature (RFC 2104)."""

    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA1 = "hmac-sha1"
    HMAC_SHA512 = "hmac-sha512"


class Encoding(StrEnum):
    """How a signature's bytes are written."""

    HEX = "hex"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A provider's own signature. The HMAC key is the secret's text as ASCII.

    Parameters
    ----------
    header
        The header that carries the signature.
    algorithm
        Or ``"hmac-sha512"``, ``"hmac-sha1"``.
    encoding
        Or ``"base64"``.
    content
        What is signed: text with ``{body}``, ``{timestamp}`` (Unix seconds of the attempt) and
        ``{id}`` (of the event).
    value
        The header's value: text with ``{signature}``, ``{timestamp}`` and ``{id}``.
    timestamp_header
        A header of its own for the timestamp.
    """

    header: str
    algorithm: Algorithm = Algorithm.HMAC_SHA256
    encoding: Encoding = Encoding.HEX
    content: str = "{body}"
    value: str = "{signature}"
    timestamp_header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A wire format.

    The envelope is kept as text so that a dialect is hashable and its member order is part of it.

    Parameters
    ----------
    standard_headers
        Whether to send ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` (Standard
        Webhooks).
    envelope
        The template of the body around the payload: a table. ``"payload"``: nothing.
    """

    signature: Signature | None = None
    standard_headers: bool = True
    envelope: str = BARE_PAYLOAD
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def header_names(self) -> frozenset[str]:
        """The names, in lower case, that an endpoint's own headers must not take."""
        names = {name.lower() for name, _ in self.headers}
        if self.signature is not None:
            names |= {self.signature.header.lower(), self.signature.timestamp_header.lower()}
        return frozenset(names - {""})


def read_dialect(table: Table) -> Dialect:
    """Read the ``[dialect]`` table of a project file.

    :raises ConfigError: the table is invalid. Templates are checked when it is compiled.
    """
    standard = table.flag("standard_headers", True)
    signed = "signature" in table
    dialect = Dialect(
        signature=_read_signature(table.table("signature"), standard) if signed else None,
        standard_headers=standard,
        envelope=_read_envelope(table),
        headers=table.pairs("headers"),
    )
    table.done()
    _check_headers(table.table("headers"), dialect)
    return dialect


def _read_signature(table: Table, standard: bool) -> Signature:
    plain = Signature(header="")
    signature = Signature(
        header=table.text("header"),
        algorithm=table.choice("algorithm", Algorithm, plain.algorithm),
        encoding=table.choice("encoding", Encoding, plain.encoding),
        content=table.text("content", plain.content),
        value=table.text("value", plain.value),
        timestamp_header=table.text("timestamp_header", plain.timestamp_header),
    )
    table.done()
    _check_name(table, "header", signature.header, standard)
    if signature.timestamp_header:
        _check_name(table, "timestamp_header", signature.timestamp_header, standard)
    if signature.header.lower() == signature.timestamp_header.lower():
        raise table.wrong("timestamp_header", "the signature uses this header; choose another")
    return signature


def _check_name(table: Table, key: str, name: str, standard: bool) -> None:
    if name.lower() in STANDARD_HEADERS and not standard:
        return
    try:
        check_header(name, "")
    except InvalidError as error:
        raise table.wrong(key, error.detail) from None


def _check_headers(table: Table, dialect: Dialect) -> None:
    if len(dialect.headers) > MAX_HEADERS:
        raise table.wrong("", f"{MAX_HEADERS} headers at most; there are {len(dialect.headers):,}")
    seen = set(replace(dialect, headers=()).header_names)
    for name, value in dialect.headers:
        try:
            header_lines([(name, value)], frozenset(seen))
        except InvalidError as error:
            raise table.wrong(name, error.detail) from None
        seen.add(name.lower())


def _read_envelope(table: Table) -> str:
    found = table.anything("envelope")
    if found is None or found == BARE_PAYLOAD:
        return BARE_PAYLOAD
    if not isinstance(found, dict):
        raise table.wrong("envelope", 'give a table, or "payload" for the payload alone')
    try:
        text = json.dumps(found, ensure_ascii=False, allow_nan=False, default=_no_json)
        check_payload(text.encode(), max_depth=MAX_LEVELS)
    except ValueError as error:
        raise table.wrong("envelope", f"{error}; an envelope holds what JSON has") from None
    except InvalidError as error:
        raise table.wrong("envelope", error.detail.replace("payload", "envelope")) from None
    return text


def _no_json(value: Any) -> str:
    raise ValueError(f"{value} cannot be written as JSON, put it into quotes")
