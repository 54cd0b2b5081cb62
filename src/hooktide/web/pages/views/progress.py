"""The progress of a replay or of a job on deliveries: in figures, in words, and as it changes."""

from collections.abc import Awaitable, Callable
from typing import Any

from hooktide.domain.ids import read
from hooktide.domain.phrase import Phrase, counted, phrase
from hooktide.web.pages.framework.request import PageRequest


def share_of(done: int, whole: int, *, finished: bool) -> int:
    """Return the progress in percent: 100 as soon as it is finished, and not before."""
    return 100 if finished else min(99, 100 * done // max(1, whole))


def count_words(count: int, noun: str, *, at_least: bool) -> Phrase:
    """Describe how much it is about; ``at_least``: counting stopped early."""
    words = counted(count, noun)
    return phrase("at least {events}", events=words) if at_least else words


async def watched_job(request: PageRequest) -> tuple[str, Callable[[], Awaitable[Any]]]:
    """Return which replay or job a page follows (``?replay=``, ``?job=``), and a look at it.

    :raises NotFoundError: the session may see none with this id.
    """
    query, store, scope = request.query, request.services.store, request.scope
    if text := query.text("replay"):
        replay = await store.get_replay(scope, read("rpl", text))
        return text, lambda: store.get_replay(scope, replay.id)
    if text := query.text("job"):
        job = await store.get_delivery_job(scope, read("job", text))
        return text, lambda: store.get_delivery_job(scope, job.id)
    return "", _nothing


async def _nothing() -> None:
    return None
