"""The confirmation pages before an endpoint is rotated, disabled or deleted."""

from typing import Any

from hooktide.domain.ids import show
from hooktide.domain.phrase import Phrase, counted, phrase
from hooktide.domain.project.project import Project
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.views.delivery import endpoint_name


@page("/endpoints/{id}/rotate")
async def confirm_rotate(request: PageRequest) -> View:
    """Explain what rotating the secret means."""
    return await _confirmation(request, "rotate.html")


@page("/endpoints/{id}/disable")
async def confirm_disable(request: PageRequest) -> View:
    """Explain what disabling it means."""
    return await _confirmation(request, "disable.html", pending=await _pending(request))


@page("/endpoints/{id}/delete")
async def confirm_delete(request: PageRequest) -> View:
    """Explain what deleting it means."""
    return await _confirmation(request, "delete.html", pending=await _pending(request))


async def _confirmation(request: PageRequest, template: str, **facts: Any) -> View:
    endpoint = await request.services.store.get_endpoint(request.scope, request.id("ep"))
    project = (await request.project(endpoint.project_id)).project
    return request.show(
        template,
        endpoint=show("ep", endpoint.id),
        called=endpoint_name(endpoint),
        kept=formats.span(project.retention),
        rotation=rotation_facts(project),
        **facts,
    )


async def _pending(request: PageRequest) -> str:
    """Describe an endpoint's backlog; empty if there is none."""
    backlog = await request.services.store.backlog(request.scope, request.id("ep"))
    waits = backlog.pending + backlog.held
    return counted(waits, "delivery") if waits else ""


def rotation_facts(project: Project) -> list[Phrase]:
    """Explain the effects of a rotation, given the project's overlap and headers."""
    dialect, overlap = project.dialect, project.rotation_overlap
    own = dialect.signature.header if dialect.signature else ""
    facts = []
    if overlap and dialect.standard_headers:
        facts.append(
            phrase(
                "For {span} both secrets sign: {header} carries a signature of each, and "
                "receivers that check it take either.",
                span=formats.span(overlap),
                header=dialect.standard_names.signature,
            )
        )
        if own:
            facts.append(
                phrase(
                    "{header} has room for one signature, which is made with the new secret from "
                    "now on.",
                    header=own,
                )
            )
    elif own or dialect.standard_headers:
        facts.append(
            phrase(
                "The old secret expires immediately: requests are signed with the new one from now "
                "on. Until your receiver has it, it will refuse them; they are retried later."
            )
        )
    facts.append(phrase("The new secret is shown once."))
    return facts


PAGES = (confirm_rotate, confirm_disable, confirm_delete)
