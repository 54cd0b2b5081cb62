"""What an operation of the API changed, for the log of changes: its name, to what, and whose.

``what_of`` names it by the operation: ``disable_endpoint`` is ``endpoint.disable``. ``subject_of``
finds whose the thing is that was changed, by the id in the path, or in the answer of what was made.
"""

from typing import Any, NamedTuple

import msgspec

from hooktide.domain.errors import HooktideError
from hooktide.domain.ids import read, show
from hooktide.domain.model import Scope
from hooktide.web.deps import Services

LEFT_OUT = frozenset({"test_endpoint"})
"""Operations that change nothing that stays."""
SHOWN = 3
"""How many of a project's changes are said."""
NOUNS = {"webhook": "endpoint"}


class Subject(NamedTuple):
    """What was changed, as its id or its name, and whose it is."""

    text: str
    scope: Scope


def what_of(method: str, name: str) -> str:
    """Name what an operation changes, as noun.verb; empty: nothing."""
    if method == "GET" or name in LEFT_OUT:
        return ""
    verb, _, noun = name.partition("_")
    return f"{NOUNS.get(noun, noun)}.{verb}"


def changed_nothing(answer: Any) -> bool:
    """Whether an answer says so: a project's file that is applied again."""
    return getattr(answer, "changes", None) == []


def detail_of(method: str, body: Any, answer: Any) -> str:
    """Say what was asked for, without values that may be secret: names, and what was changed."""
    changes = getattr(answer, "changes", None)
    if isinstance(changes, list):
        more = len(changes) - SHOWN
        return "; ".join(changes[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
    if method == "PATCH":
        return ", ".join(_given(body))
    return next(filter(None, (getattr(body, name, "") for name in ("reference", "name"))), "")


def _given(body: Any) -> list[str]:
    if isinstance(body, dict):
        return [str(name) for name in body]
    if not isinstance(body, msgspec.Struct):
        return []
    fields = body.__struct_fields__
    return [name for name in fields if getattr(body, name) is not msgspec.UNSET]


async def subject_of(
    services: Services, scope: Scope, path: str, places: dict[str, Any], query: Any, answer: Any
) -> Subject:
    """Find what an operation is about: what its path names, or the answer, where it made it."""
    text = next(iter(places.values()), None) or _id_of(answer)
    try:
        return await _find(services, scope, path, text, getattr(query, "project", None))
    except HooktideError:
        return Subject(text, scope)


async def _find(
    services: Services, scope: Scope, path: str, text: str, project: str | None
) -> Subject:
    if path.startswith("/v1/projects/"):
        row = await services.store.get_project(scope, text)
        return Subject(text, Scope(project_id=row.id))
    if path.startswith("/v1/event-types/"):
        row = await services.accounts.project(scope, project)
        return Subject(text, Scope(project_id=row.id))
    if path.startswith("/v1/accounts"):
        account = await services.accounts.find(scope, text)
        return Subject(
            show("acc", account.id), Scope(project_id=account.project_id, account_id=account.id)
        )
    return Subject(text, await _whose(services, scope, text))


async def _whose(services: Services, scope: Scope, text: str) -> Scope:
    store, prefix = services.store, text.partition("_")[0]
    ask = {
        "ep": store.get_endpoint,
        "dlv": store.get_delivery,
        "rpl": store.get_replay,
        "key": store.get_key,
    }.get(prefix)
    if ask is not None:
        found: Any = await ask(scope, read(prefix, text))
        return Scope(project_id=found.project_id, account_id=found.account_id)
    if prefix == "usr":
        return Scope(project_id=(await services.people.get(scope, read(prefix, text))).project_id)
    return scope


def _id_of(answer: Any) -> str:
    found = answer.get("id", "") if isinstance(answer, dict) else getattr(answer, "id", "")
    return found if isinstance(found, str) else ""
