"""A dialect: a provider's wire format as data.

It defines how requests are signed, which fixed headers they carry, and the envelope around the
payload. ``domain.dialect.signing``, ``domain.dialect.envelope`` and ``domain.delivery.compose``
turn it into bytes.
"""

import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from hooktide.domain.errors import InvalidError
from hooktide.domain.http.headers import MAX_HEADERS, check_header, header_lines
from hooktide.domain.json.payload import check_payload
from hooktide.domain.toml_table import Table

STANDARD_PREFIX = "webhook"
"""How the names of the headers begin in the Standard Webhooks specification."""
MAX_USER_AGENT_LENGTH = 200

BARE_PAYLOAD = "payload"
"""No envelope: the body is the payload."""

MAX_LEVELS = 16
MAX_PREFIX_LENGTH = 30


class Algorithm(StrEnum):
    """The keyed hash of a signature (RFC 2104)."""

    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA1 = "hmac-sha1"
    HMAC_SHA512 = "hmac-sha512"


class StandardNames(NamedTuple):
    """What the headers of Standard Webhooks are called, in lower case."""

    id: str
    timestamp: str
    signature: str


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
    header_prefix
        What the names of those three begin with, for receivers that read others: ``"svix"`` sends
        ``svix-id``, ``svix-timestamp`` and ``svix-signature`` instead.
    user_agent
        The ``User-Agent`` of all requests; by default Hooktide's own, with its version.
    envelope
        The template of the body around the payload: a table. ``"payload"``: nothing.
    """

    signature: Signature | None = None
    standard_headers: bool = True
    header_prefix: str = STANDARD_PREFIX
    user_agent: str = ""
    envelope: str = BARE_PAYLOAD
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def header_names(self) -> frozenset[str]:
        """The names, in lower case, that an endpoint's own headers must not take."""
        names = {name.lower() for name, _ in self.headers}
        if self.signature is not None:
            names |= {self.signature.header.lower(), self.signature.timestamp_header.lower()}
        if self.standard_headers:
            names |= set(self.standard_names)
        return frozenset(names - {""})

    @property
    def standard_names(self) -> StandardNames:
        """The names of the Standard Webhooks headers, sent or not."""
        prefix = self.header_prefix
        return StandardNames(f"{prefix}-id", f"{prefix}-timestamp", f"{prefix}-signature")


def read_dialect(table: Table) -> Dialect:
    """Read the ``[dialect]`` table of a project file.

    :raises ConfigError: the table is invalid. Templates are checked when it is compiled.
    """
    plain = Dialect(
        standard_headers=table.flag("standard_headers", True),
        header_prefix=_read_header_prefix(table),
        user_agent=_read_user_agent(table),
    )
    signed = "signature" in table
    dialect = replace(
        plain,
        signature=_read_signature(table.table("signature"), plain) if signed else None,
        envelope=_read_envelope(table),
        headers=table.pairs("headers"),
    )
    table.done()
    _check_headers(table.table("headers"), dialect)
    return dialect


def _read_header_prefix(table: Table) -> str:
    prefix = table.text("header_prefix", STANDARD_PREFIX)
    if not _PREFIX.fullmatch(prefix) or len(prefix) > MAX_PREFIX_LENGTH:
        raise table.wrong(
            "header_prefix",
            f"use up to {MAX_PREFIX_LENGTH} lower case letters, digits and single hyphens in "
            "between, like svix",
        )
    if prefix != STANDARD_PREFIX:
        for name in Dialect(header_prefix=prefix).standard_names:
            try:
                check_header(name, "")
            except InvalidError as error:
                raise table.wrong("header_prefix", error.detail) from None
    return prefix


_PREFIX = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _read_user_agent(table: Table) -> str:
    text = table.text("user_agent", "")
    if len(text) > MAX_USER_AGENT_LENGTH or not _USER_AGENT.fullmatch(text):
        raise table.wrong(
            "user_agent",
            f"use up to {MAX_USER_AGENT_LENGTH} characters of printable ASCII without spaces at "
            "its ends, like Acme-Webhooks/1.0",
        )
    return text


_USER_AGENT = re.compile(r"(?! )[\x20-\x7e]*(?<! )")


def _read_signature(table: Table, dialect: Dialect) -> Signature:
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
    _check_name(table, "header", signature.header, dialect)
    if signature.timestamp_header:
        _check_name(table, "timestamp_header", signature.timestamp_header, dialect)
    if signature.header.lower() == signature.timestamp_header.lower():
        raise table.wrong("timestamp_header", "the signature uses this header; choose another")
    return signature


def _check_name(table: Table, key: str, name: str, dialect: Dialect) -> None:
    taken = name.lower() in dialect.standard_names
    if taken and not dialect.standard_headers:
        return
    if taken and dialect.header_prefix != STANDARD_PREFIX:
        raise table.wrong(
            key,
            f"{name} is one of the Standard Webhooks headers of this project; choose another, or "
            "set standard_headers = false",
        )
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
