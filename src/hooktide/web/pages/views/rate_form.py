"""The rate of requests as people fill it in, and the form of an account's."""

import re
from dataclasses import dataclass

from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import show
from hooktide.domain.model import Account
from hooktide.domain.phrase import phrase
from hooktide.web.pages.framework.fields import MAX_DIGITS
from hooktide.web.pages.framework.request import PageRequest


@dataclass(frozen=True, slots=True)
class RateForm:
    """How many requests a second all endpoints get together, and how many of them at once."""

    rate_limit: str
    burst: str

    async def save(self, request: PageRequest, account: Account) -> None:
        """Limit what all endpoints of an account get together.

        :raises InvalidError: it is not a number, or not allowed.
        """
        rate = read_rate(self.rate_limit, self.burst)
        await request.services.accounts.set_rate(
            request.actor, request.scope, show("acc", account.id), rate["rate_limit"], rate["burst"]
        )


def read_rate(rate_limit: str, burst: str) -> dict[str, int | None]:
    """Read a rate as it is filled in, with the signs of any language's pages; empty: none.

    :raises InvalidError: it is not a number.
    """
    given = {"rate_limit": rate_limit, "burst": burst if rate_limit else ""}
    return {name: _read_count(name, text) if text else None for name, text in given.items()}


def _read_count(name: str, text: str) -> int:
    digits = _SIGN.sub("", text) if _THOUSANDS.fullmatch(text) else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS):
        raise InvalidError("invalid_rate", phrase("write a whole number"), pointer=f"/{name}")
    return int(digits)


_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:\.[0-9]{3})+")
_SIGN = re.compile(r"[,.]")
