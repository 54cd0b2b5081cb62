"""The log of changes: who changed what, written once it has happened."""

import logging
from collections.abc import Callable

from hooktide.domain.errors import HooktideError
from hooktide.domain.model import ApiKey, Change, Micros, Scope
from hooktide.store.base import Store

log = logging.getLogger("hooktide.actions")

LONGEST_WHO = 200
LONGEST_DETAIL = 500
EVERYTHING = Scope()


def key_name(key: ApiKey) -> str:
    """Say which key it was: ``key …1a2b (ci)``."""
    return f"key …{key.last4}" + (f" ({key.name})" if key.name else "")


class Chronicle:
    """Writes down what was changed, and by whom."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock

    async def write(
        self, who: str, what: str, subject: str, detail: str = "", scope: Scope = EVERYTHING
    ) -> None:
        """Write down that somebody did something to a subject.

        ``what`` is noun.verb; ``scope`` is whose log it belongs to; ``detail`` is a sentence
        without secrets. What was done stays done where this cannot be written: the server's own log
        has it then.
        """
        change = Change(
            id=0,
            project_id=scope.project_id,
            account_id=scope.account_id,
            who=who[:LONGEST_WHO],
            what=what,
            subject=subject,
            detail=detail[:LONGEST_DETAIL],
        )
        try:
            await self._store.add_change(change, self._clock())
        except HooktideError as error:
            log.warning("not in the log of changes (%s): %s", error, change)
