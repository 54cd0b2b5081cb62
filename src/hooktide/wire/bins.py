"""Request bins, their scripts and their requests."""

from typing import Annotated

import msgspec

from hooktide.wire.fields import HeaderPairs, Instant, RequestModel, ResponseModel, one_of


class AnswerHeaders(RequestModel, frozen=True, rename={"retry_after": "Retry-After"}):
    """The headers a response may set.

    There is only one: a `Location` would make the bin an open redirector, a content type would
    allow phishing, and proxies obey some `X-` headers.
    """

    retry_after: Annotated[str, msgspec.Meta(pattern="^[ -~]{1,200}$")] | msgspec.UnsetType = (
        msgspec.UNSET
    )

    def __post_init__(self) -> None:
        """Refuse a trailing line end, before which Python's ``$`` also matches."""
        if self.retry_after is not msgspec.UNSET and self.retry_after.endswith("\n"):
            raise ValueError("a header's value cannot contain a line end")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One response of a bin: a status, after `delay_ms`, with a plain text body."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=30_000)] = 0
    body: Annotated[str, msgspec.Meta(max_length=4096)] = "ok\n"
    headers: AnswerHeaders = AnswerHeaders()


Script = Annotated[list[Step], msgspec.Meta(max_length=100)]


class NewBin(RequestModel, frozen=True):
    """A new bin: its responses in turn (none: always 200) and its lifetime."""

    script: Script = []
    ttl_seconds: Annotated[int, msgspec.Meta(ge=60, le=30 * 86_400)] = 7 * 86_400


class BinUpdate(RequestModel, frozen=True):
    """New responses for a bin, starting with the first."""

    script: Script


MAX_NOTE_LENGTH = 1000


class BinRequestUpdate(RequestModel, frozen=True):
    """A new note on a request, of plain text; empty: none."""

    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE_LENGTH)]


class ScriptStep(ResponseModel, frozen=True):
    """One response of a bin's script."""

    status: int
    delay_ms: int
    body: str
    headers: dict[str, str]


class Bin(ResponseModel, frozen=True):
    """A request bin. `url` receives requests; `page_url`, a secret, shows and scripts the bin."""

    id: str
    url: str
    page_url: str
    script: list[ScriptStep]
    created_at: Instant
    expires_at: Instant


class Signature(ResponseModel, frozen=True):
    """The verdict on a request's signature, and the reason."""

    verdict: Annotated[str, one_of("SignatureVerdict")]
    reason: str


class BinRequest(ResponseModel, frozen=True, kw_only=True):
    """A request that a bin received. A body that is not UTF-8 is in `body_base64` instead.

    `body` is its first 64 KB, without a partial character at the end; `body_size` counts up to 1
    MB. `address` is the sender's, empty if it is on the server's machine.
    """

    id: str
    method: str
    path: str
    headers: HeaderPairs
    body: str | None
    body_base64: str | None
    body_size: int
    body_truncated: bool
    answered: int
    received_at: Instant
    address: str
    note: str
    signature: Signature
