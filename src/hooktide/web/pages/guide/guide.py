"""The guide of a project, for the engineers who receive its webhooks.

Its words are in ``templates/guide/*.md``; here is what they may fill in.
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from hooktide.domain.delivery.backoff import delays
from hooktide.domain.delivery.compose import TYPE_HEADER
from hooktide.domain.delivery.verdict import JITTER, RETRY_AFTER_CAP
from hooktide.domain.dialect.dialect import Signature
from hooktide.domain.dialect.signing import TOLERANCE
from hooktide.domain.json.payload import MAX_BYTES
from hooktide.domain.project.project import Mode, Project
from hooktide.web.pages.framework.rendering import render
from hooktide.web.pages.guide.calls import make_calls
from hooktide.web.pages.guide.envelope import is_bare
from hooktide.web.pages.guide.example import make_example
from hooktide.web.pages.guide.facts import base
from hooktide.web.pages.guide.markdown import templates
from hooktide.web.pages.guide.page import make_page
from hooktide.web.pages.guide.programs import LANGUAGES, is_timed, own_program, standard_program
from hooktide.web.pages.guide.subject import Subject


def as_markdown(subject: Subject) -> str:
    """Write the guide of a project as Markdown (CommonMark, with GitHub's tables)."""
    return _write(subject, is_page=False)


def as_html(subject: Subject) -> str:
    """Write the guide of a project as a page."""
    page = make_page(_write(subject, is_page=True))
    title = f"{subject.title} webhooks"
    return render("guide/guide.html", page=page, title=title, path=f"/docs/{subject.project.name}")


def _write(subject: Subject, *, is_page: bool) -> str:
    template = templates(is_page).get_template("guide/guide.md")
    return template.render(_facts(subject))


def _facts(subject: Subject) -> dict[str, Any]:
    project, signature = subject.project, subject.dialect.signature
    return {
        "address": Markup(base(subject)),  # noqa: S704
        "calls": make_calls(subject),
        "dialect": subject.dialect,
        "entity": subject.entity,
        "example": make_example(project, subject.kind),
        "examples": {kind.name: make_example(project, kind) for kind in subject.types},
        "is_bare": is_bare(subject.dialect),
        "is_test": project.mode is Mode.TEST,
        "is_timed": signature is not None and is_timed(signature),
        "kind": subject.kind,
        "languages": LANGUAGES,
        "members": subject.members,
        "names": subject.dialect.standard_names,
        "places": _places(subject),
        "programs": _programs(subject),
        "project": project,
        "served": subject.served,
        "signature": signature,
        "signs": subject.signs,
        "title": subject.title,
        "tolerance": TOLERANCE,
        "type_header": TYPE_HEADER.decode(),
        "types": subject.types,
        **_times(project),
        **_limits(project),
    }


def _places(subject: Subject) -> dict[str, Any]:
    """Return where a request says what: in the body, and for its ids in a header, too."""
    header = [subject.dialect.standard_names.id] if subject.dialect.standard_headers else []
    ids = [*header, subject.at("event.id")]
    return {
        "ids": [place for place in ids if place],
        "type": subject.at("event.type"),
        "occurred_at": subject.at("event.occurred_at"),
    }


def _programs(subject: Subject) -> dict[str, Mapping[str, str]]:
    """Return the programs that verify, by scheme and language."""
    dialect, signature = subject.dialect, subject.dialect.signature
    standard = {each.key: standard_program(each, dialect).rstrip("\n") for each in LANGUAGES}
    own = {}
    if signature is not None:
        own = {each.key: own_program(each, dialect, signature).rstrip("\n") for each in LANGUAGES}
    return {"own": own, "standard": standard if dialect.standard_headers else {}}


def _times(project: Project) -> dict[str, Any]:
    """Return when what is tried again, and which headers tell the time of an attempt."""
    plans, signature = project.plans, project.dialect.signature
    retries = sorted({plan.retries for plan in plans})
    waits = delays(project.retry, retries[-1])
    names = project.dialect.standard_names
    stamps = {names.timestamp} if project.dialect.standard_headers else set()
    if signature is not None and signature.timestamp_header:
        stamps.add(signature.timestamp_header.lower())
    return {
        "jitter": f"{JITTER * 100:.0f}",
        "most_retries": retries[-1],
        "retries_differ": len(retries) > 1,
        "retry_after_cap": RETRY_AFTER_CAP,
        "stamps": stamps,
        "tells_time": bool(stamps) or (signature is not None and _names_time(signature)),
        "timeout": project.sure_timeout,
        "timeouts_differ": len({plan.timeout for plan in plans}) > 1,
        "waits": list(zip(waits, accumulate(waits), strict=True)),
    }


def _names_time(signature: Signature) -> bool:
    return "{timestamp}" in signature.content + signature.value


def _limits(project: Project) -> dict[str, Any]:
    plans = project.plans
    return {
        "is_only_plan": len(plans) == 1 and plans[0].name == "default",
        "limits_deliveries": any(plan.deliveries_per_hour is not None for plan in plans),
        "limits_endpoints": any(plan.endpoints is not None for plan in plans),
        "max_payload": MAX_BYTES,
    }
