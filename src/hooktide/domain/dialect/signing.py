"""Signatures: created for requests, and verified as a receiver would verify them.

Two schemes can be used together: the provider's own (``dialect.Signature``), keyed with the
secret's text, and Standard Webhooks, keyed with the secret's bytes.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hooktide.domain.dialect.dialect import Dialect, Encoding, Signature, StandardNames
from hooktide.domain.dialect.template import Slot, parts
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.model import MINUTE, SECOND, Micros, Secret

TOLERANCE = 5 * MINUTE
"""Maximum distance of a timestamp from now (Standard Webhooks 1.0)."""

MAX_CACHED_KEYS = 16_384
MAX_SIGNATURES = 20
"""How many signatures of a Standard Webhooks header are compared, while secrets are rotated."""


def new_secret(random32: bytes) -> Secret:
    """Return a secret of 32 random bytes as 64 hexadecimal digits and as bytes."""
    return Secret(text=random32.hex(), key=random32)


def whsec(secret: Secret) -> str:
    """Write a secret in its Standard Webhooks form: ``whsec_`` and the bytes in base64."""
    return WHSEC + base64.b64encode(secret.key).decode()


WHSEC = "whsec_"
MIN_SECRET_LENGTH, MAX_SECRET_LENGTH = 16, 128


def read_secret(text: str) -> Secret:
    """Read a secret in either form, ours or another sender's.

    ``whsec_`` and base64 encode the bytes; the text form is their hexadecimal digits. Any other
    text is itself the HMAC key; its bytes are the decoded 64 hexadecimal digits, else the text's
    own bytes.

    :raises InvalidError: it is neither; the reason never quotes the secret.
    """
    if text.startswith(WHSEC):
        key = _read_base64(text.removeprefix(WHSEC))
        return Secret(text=key.hex(), key=key)
    if not MIN_SECRET_LENGTH <= len(text) <= MAX_SECRET_LENGTH or not _SECRET.fullmatch(text):
        raise _no_secret(
            f"a secret is {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} visible ASCII characters, "
            "without spaces, or whsec_ and base64"
        )
    digits = _DIGITS.fullmatch(text)
    return Secret(text=text, key=bytes.fromhex(text) if digits else text.encode())


_SECRET = re.compile(r"[\x21-\x7e]+")
_DIGITS = re.compile(r"[0-9a-fA-F]{64}")


def _read_base64(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        raise _no_secret("the text after whsec_ is not base64; was it cut off?") from None
    if not MIN_SECRET_LENGTH <= len(key) <= MAX_SECRET_LENGTH:
        raise _no_secret(
            f"the text after whsec_ is {len(key)} bytes; a secret has "
            f"{MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH}"
        )
    return key


def _no_secret(detail: str) -> InvalidError:
    return InvalidError("invalid_secret", detail, pointer="/secret")


def standard_signature(secret: Secret, event_id: bytes, timestamp: int, body: bytes) -> bytes:
    """Return ``v1,`` and the signature of ``{id}.{timestamp}.{body}`` (Standard Webhooks 1.0)."""
    return _standard(secret.key, b"%b.%d.%b" % (event_id, timestamp, body))


def _standard(key: bytes, content: bytes) -> bytes:
    return b"v1," + _base64(_mac("sha256", key, content))


def standard_form(dialect: Dialect) -> bytes:
    """Return the form of a dialect's three Standard Webhooks header lines."""
    id_, timestamp, signature = (name.encode("ascii") for name in dialect.standard_names)
    return b"%b: %%b\r\n%b: %%d\r\n%b: %%b\r\n" % (id_, timestamp, signature)


def standard_lines(
    form: bytes, secrets: tuple[Secret, ...], event_id: bytes, timestamp: int, body: bytes
) -> bytes:
    """Return the three Standard Webhooks header lines, signed with every active secret."""
    content = b"%b.%d.%b" % (event_id, timestamp, body)
    if len(secrets) == 1:  # as usual
        signature = _standard(secrets[0].key, content)
    else:
        signature = b" ".join([_standard(secret.key, content) for secret in secrets])
    return form % (event_id, timestamp, signature)


class Signer:
    """A provider's own signature, compiled.

    :raises ConfigError: a template is invalid, or signs something that receivers do not get.
    """

    def __init__(self, signature: Signature, *, standard_headers: bool) -> None:
        self._hash = signature.algorithm.removeprefix("hmac-")
        self._encode = _base64 if signature.encoding is Encoding.BASE64 else binascii.hexlify
        self._plain = signature.content == "{body}"
        self._content = _compile(
            signature.content, "dialect.signature.content", ("body", "timestamp", "id")
        )
        value = _compile(
            signature.value, "dialect.signature.value", ("signature", "timestamp", "id")
        )
        self._lines = signature.header.encode() + b": " + value + b"\r\n"
        if signature.timestamp_header:
            self._lines += signature.timestamp_header.encode() + b": %(timestamp)d\r\n"
        if not standard_headers:
            _check_told(signature)

    def sign(self, secret: Secret, event_id: bytes, timestamp: int, body: bytes) -> bytes:
        """Return the encoded signature alone."""
        content = body
        if not self._plain:
            content = self._content % {b"body": body, b"timestamp": timestamp, b"id": event_id}
        return self._encode(_mac(self._hash, secret.text.encode(), content))

    def lines(self, secret: Secret, event_id: bytes, timestamp: int, body: bytes) -> bytes:
        """Return the header line, or two if the timestamp has its own header."""
        return self._lines % {
            b"signature": self.sign(secret, event_id, timestamp, body),
            b"timestamp": timestamp,
            b"id": event_id,
        }


def _compile(text: str, key: str, slots: tuple[str, str, str]) -> bytes:
    """Turn a text into a ``%`` template; the first slot is required, each may occur once."""
    found = parts(text, key)
    names = [part.name + part.filter for part in found if isinstance(part, Slot)]
    known = " ".join(f"{{{name}}}" for name in slots)
    wrong = next((name for name in names if name not in slots or names.count(name) > 1), "")
    if wrong:
        why = "is there twice" if wrong in slots else "is not known here"
        raise ConfigError(f"{{{wrong[:60]}}} {why}; use of {known} each at most once", key=key)
    if slots[0] not in names:
        raise ConfigError(
            f"{{{slots[0]}}} is missing: use {{{slots[0]}}}, and of {known} each at most once",
            key=key,
        )
    if not _PRINTABLE.fullmatch(text):
        raise ConfigError("use printable ASCII", key=key)
    return b"".join(_CONVERSIONS[p.name] if isinstance(p, Slot) else _literal(p) for p in found)


_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_CONVERSIONS = {
    "body": b"%(body)b",
    "id": b"%(id)b",
    "signature": b"%(signature)b",
    "timestamp": b"%(timestamp)d",
}


def _literal(text: str) -> bytes:
    return text.encode().replace(b"%", b"%%")


def _check_told(signature: Signature) -> None:
    sent = signature.value + ("{timestamp}" if signature.timestamp_header else "")
    for slot in ("{timestamp}", "{id}"):
        if slot in signature.content and slot not in sent:
            raise ConfigError(
                f"{slot} is signed but not sent: put it in the value, give it a header, or turn on "
                f"dialect.standard_headers",
                key="dialect.signature.content",
            )


def _mac(algorithm: str, key: bytes, content: bytes) -> bytes:
    """Return the HMAC (RFC 2104), from key states made once: half the cost of ``hmac.digest``."""
    inner, outer = _keyed(algorithm, key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(content)
    outer.update(inner.digest())
    digest: bytes = outer.digest()
    return digest


@lru_cache(maxsize=MAX_CACHED_KEYS)
def _keyed(algorithm: str, key: bytes) -> tuple[Any, Any]:
    inner, outer = hashlib.new(algorithm), hashlib.new(algorithm)
    if len(key) > inner.block_size:
        key = hashlib.new(algorithm, key).digest()
    key = key.ljust(inner.block_size, b"\0")
    inner.update(bytes(byte ^ 0x36 for byte in key))
    outer.update(bytes(byte ^ 0x5C for byte in key))
    return inner, outer


def _base64(digest: bytes) -> bytes:
    return binascii.b2a_base64(digest, newline=False)


@dataclass(frozen=True, slots=True)
class Check:
    """The result for one signature: its header, whether it is valid, and if not, why."""

    header: str
    valid: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result for a request's signatures, one ``Check`` each."""

    checks: tuple[Check, ...]

    @property
    def valid(self) -> bool:
        """Whether there are signatures and all are valid."""
        return bool(self.checks) and all(check.valid for check in self.checks)

    @property
    def reason(self) -> str:
        """Why the request is not verified; empty when it is."""
        if not self.checks:
            return "this project signs nothing"
        return "; ".join(check.reason for check in self.checks if not check.valid)


@dataclass(frozen=True, slots=True)
class _Age:
    """How old a request may be."""

    now: Micros
    tolerance: Micros | None

    def wrong(self, stamp: str | None) -> str:
        if stamp is None or not _SECONDS.fullmatch(stamp):
            return "the timestamp is not given in Unix seconds"
        age = self.now // SECOND - int(stamp)
        if self.tolerance is None or abs(age) * SECOND <= self.tolerance:
            return ""
        return (
            f"the timestamp is {abs(age)} s {'old' if age > 0 else 'ahead'}; at most "
            f"{self.tolerance // SECOND} s are accepted: is a clock wrong, or was the request "
            "replayed?"
        )


def verify(
    dialect: Dialect,
    secrets: tuple[Secret, ...],
    headers: Iterable[tuple[str, str]],
    body: bytes,
    now: Micros,
    tolerance: Micros | None = TOLERANCE,
) -> Verification:
    """Check a received request as its receiver would, with any of the active secrets.

    A timestamp may be at most ``tolerance`` from now; None: no limit.
    """
    age = _Age(now, tolerance)
    given = {name.lower(): value for name, value in headers}
    checks: list[Check] = []
    if dialect.signature is not None:
        wrong = _wrong_in_own(dialect, dialect.signature, secrets, given, body, age)
        checks.append(Check(dialect.signature.header, not wrong, wrong))
    if dialect.standard_headers:
        names = dialect.standard_names
        wrong = _wrong_in_standard(names, secrets, given, body, age)
        checks.append(Check(names.signature, not wrong, wrong))
    return Verification(tuple(checks))


def _wrong_in_own(
    dialect: Dialect,
    own: Signature,
    secrets: tuple[Secret, ...],
    given: Mapping[str, str],
    body: bytes,
    age: _Age,
) -> str:
    value = given.get(own.header.lower())
    if value is None:
        return f"there is no {own.header} header"
    found = _pattern(own).fullmatch(value)
    if found is None:
        return f"{own.header} is not of the form {own.value}"
    fields = found.groupdict()
    stamp = fields.get("timestamp") or given.get(
        (own.timestamp_header or dialect.standard_names.timestamp).lower()
    )
    event_id = fields.get("id") or given.get(dialect.standard_names.id, "")
    if "{timestamp}" in own.content and (wrong := age.wrong(stamp)):
        return wrong
    signer = Signer(own, standard_headers=dialect.standard_headers)
    timestamp = int(stamp) if "{timestamp}" in own.content and stamp else 0
    wanted = [signer.sign(each, event_id.encode(), timestamp, body) for each in secrets]
    return _wrong_unless_any(wanted, [fields["signature"]], own.header)


@lru_cache(maxsize=256)
def _pattern(own: Signature) -> re.Pattern[str]:
    found = parts(own.value, "")
    alone = sum(isinstance(part, Slot) for part in found) == 1
    return re.compile(
        "".join(
            f"(?P<{part.name}>{'.+' if alone else slot_form(part.name, own)})"
            if isinstance(part, Slot)
            else re.escape(part)
            for part in found
        )
    )


def slot_form(name: str, own: Signature) -> str:
    """Return what a slot of a signature's header may hold, as a regular expression.

    Its length is exact wherever it is known, so that adjacent slots can be told apart.
    """
    if name == "timestamp":
        return "[0-9]{1,12}"
    if name == "id":
        return "evt_[0-9a-f]{16}"
    size = hashlib.new(own.algorithm.removeprefix("hmac-")).digest_size
    if own.encoding is Encoding.HEX:
        return f"[0-9a-f]{{{2 * size}}}"
    return f"[A-Za-z0-9+\\/=]{{{4 * -(-size // 3)}}}"


def _wrong_in_standard(
    names: StandardNames,
    secrets: tuple[Secret, ...],
    given: Mapping[str, str],
    body: bytes,
    age: _Age,
) -> str:
    for name in names:
        if not given.get(name):
            return f"there is no {name} header"
    stamp = given[names.timestamp]
    if wrong := age.wrong(stamp):
        return wrong
    event_id = given[names.id].encode()
    wanted = [standard_signature(each, event_id, int(stamp), body) for each in secrets]
    signatures = given[names.signature].split(maxsplit=MAX_SIGNATURES)[:MAX_SIGNATURES]
    return _wrong_unless_any(wanted, signatures, names.signature)


_SECONDS = re.compile(r"[0-9]{1,12}")


def _wrong_unless_any(wanted: list[bytes], given: list[str], header: str) -> str:
    tried = [hmac.compare_digest(one, other.encode()) for one in wanted for other in given]
    if any(tried):
        return ""
    return (
        f"{header} matches no active secret: the secret is wrong, or the body differs from what "
        f"was signed"
    )
