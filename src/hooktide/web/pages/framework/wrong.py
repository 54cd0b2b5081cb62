"""Why an act was refused, in the terms of a page: the faults at each field, and the rest.

The API's sentences name headers, parameters and keys of project files. ``OWN_WORDS`` replaces them
if a page works differently.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from hooktide.domain.errors import HooktideError, NotFoundError
from hooktide.web.problems.problems import describe
from hooktide.wire.problems import Fault, Problem

FIELDS: Mapping[str, str] = {
    "account_exists": "reference",
    "ambiguous_account": "account",
    "user_exists": "name",
}
"""The fields of forms that an error without a pointer is about, by its code."""

OWN_WORDS: Mapping[str, str] = {
    "ambiguous_account": "Several projects have an account with this reference. Give the id of the "
    "account, like acc_0c8f1e5a3b2d4800: its page shows it.",
    "last_operator_key": (
        "This is the last active operator key, and only an operator key can create another. Create "
        "one first."
    ),
    "project_not_live": "The project is in test mode and accepts only test events: mark the event "
    "as a test, or set the project's mode to live in its file.",
}
"""What a page says instead of the API's detail, by the error's code."""


@dataclass(slots=True)
class Wrong:
    """Why an act was refused.

    ``at`` has a sentence for each field that is wrong, ``lines`` those of a project file.
    ``places`` are the faults, each as the names that its field may have; ``shown`` are the names
    whose faults the page has shown.
    """

    code: str
    status: int
    title: str
    detail: str
    at: Mapping[str, str]
    lines: list[Fault]
    places: list[set[str]]
    shown: set[str] = field(default_factory=set)

    def is_about(self, form: Container[str]) -> bool:
        """Whether something is wrong with a field of this form."""
        return any(name in form for place in self.places for name in place)

    @property
    def is_shown(self) -> bool:
        """Whether the page shows all faults at its fields."""
        return bool(self.places) and all(place & self.shown for place in self.places)


def wrong_of(error: HooktideError) -> Wrong:
    """Describe an error for a page."""
    problem = describe(error)
    code = problem.code
    detail = _detail(code, problem)
    found = [(_names(fault), fault.detail) for fault in problem.errors]
    if isinstance(error, NotFoundError):
        found = [({_kind(problem)}, detail)]
    elif code in FIELDS:
        found = [({FIELDS[code]}, detail)]
    at: dict[str, str] = {}
    for names, text in found:
        for name in names:
            at.setdefault(name, text)
    lines = [fault for fault in problem.errors if fault.line]
    return Wrong(
        code, problem.status, problem.title, detail, at, lines, [names for names, _ in found]
    )


def _detail(code: str, problem: Problem) -> str:
    if code == "event_types_in_use":
        return problem.detail.partition(" Nothing was changed")[0] + " Nothing was changed."
    return OWN_WORDS.get(code, problem.detail)


def _names(fault: Fault) -> set[str]:
    """Return the names that the field of a fault may have: ``a`` and ``a/b`` for ``/a/b``."""
    path = fault.pointer.strip("/").split("/") if fault.pointer else _path(fault.key)
    return {"/".join(path), path[0]} - {""}


def _path(key: str) -> list[str]:
    """Return the part of a project file's key that a form has a field for.

    The rest says which plan or event type it is, and forms are about one of them.
    """
    if not key.startswith(("plans.", "event_types.")):
        return [key]
    for name in _FORM_KEYS:
        if key.endswith(f".{name}"):
            return name.split(".")
    return [key]


_FORM_KEYS = (
    "message.text",
    "message.link",
    "message.fields",
    "name",
    "description",
    "example",
    "schema",
    "transition",
    "accounts",
    "endpoints",
    "deliveries_per_hour",
    "retries",
    "timeout",
    "filter_conditions",
    "channels",
    "metadata_bytes",
    "rate_limit",
    "endpoint_rate_limit",
    "max_timeout",
    "retry_delays",
    "retention_days",
)


def _kind(problem: Problem) -> str:
    return problem.detail.removeprefix("there is no such ").replace(" ", "_")
