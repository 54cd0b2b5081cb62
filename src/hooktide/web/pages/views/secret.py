"""A signing secret, shown once, and how to verify with it in the customer's language."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from markupsafe import Markup

from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.dialect.signing import whsec
from hooktide.domain.ids import show
from hooktide.domain.model import Endpoint, Micros, Role, Secret
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.guide.page import coloured, inline
from hooktide.web.pages.guide.programs import LANGUAGES, Language, own_program, standard_program
from hooktide.web.pages.views.delivery import endpoint_name
from hooktide.web.pages.views.test_urls import page_of_bin
from hooktide.web.urls import docs_url


class NewSecret(msgspec.Struct, frozen=True):
    """A new secret; ``previous_secret_expires_at`` is set if it replaced another."""

    text: str
    key: bytes
    previous_secret_expires_at: Micros | None


async def go_to_secret(
    request: PageRequest,
    endpoint: Endpoint,
    secret: Secret,
    previous_secret_expires_at: Micros | None = None,
) -> View:
    """Redirect to the page that shows a new secret once."""
    made = NewSecret(secret.text, secret.key, previous_secret_expires_at)
    path = f"/endpoints/{show('ep', endpoint.id)}/secret"
    return await request.go_once(path, msgspec.json.encode(made).decode())


@page("/endpoints/{id}/secret", who=Role.MEMBER)
async def new_secret(request: PageRequest) -> View:
    """Show a new secret, once."""
    endpoint = await request.services.store.get_endpoint(request.scope, request.id("ep"))
    kept = await request.once()
    if kept is None:
        return request.show("secret_shown.html", endpoint=endpoint, called=endpoint_name(endpoint))
    made = msgspec.json.decode(kept, type=NewSecret)
    secret = Secret(made.text, made.key)
    project = (await request.project(endpoint.project_id)).project
    dialect = project.dialect
    overlaps = dialect.standard_headers and (made.previous_secret_expires_at or 0) > request.now
    return request.show(
        "secret.html",
        endpoint=show("ep", endpoint.id),
        url=endpoint.url,
        called=endpoint_name(endpoint),
        product=formats.product_name(project),
        guide=docs_url(project, request.services.public_url),
        signature_header=dialect.standard_names.signature,
        rotated=made.previous_secret_expires_at is not None,
        previous_secret_expires_at=made.previous_secret_expires_at if overlaps else None,
        bin_page=await page_of_bin(request, endpoint),
        secret=_shown_secret(secret, dialect),
        programs=programs(dialect),
        inline=inline,
    )


@dataclass(frozen=True, slots=True)
class Program:
    """A verification program."""

    language: Language
    code: Markup


@dataclass(frozen=True, slots=True)
class ShownSecret:
    """A secret, shown once: in the form for the project's signature, and in that for libraries.

    ``library`` is empty where the two are the same, or there are no Standard Webhooks headers.
    """

    text: str
    library: str


def _shown_secret(secret: Secret, dialect: Dialect) -> ShownSecret:
    """Return a secret in the forms that a project's customers use."""
    if dialect.signature is None:
        return ShownSecret(whsec(secret), "")
    return ShownSecret(secret.text, whsec(secret) if dialect.standard_headers else "")


@lru_cache(maxsize=64)
def programs(dialect: Dialect) -> Sequence[Program]:
    """Return the programs for a wire format, in the order of the languages; none if unsigned."""
    if dialect.signature is None and not dialect.standard_headers:
        return ()
    found = []
    for language in LANGUAGES:
        text = (
            standard_program(language, dialect)
            if dialect.signature is None
            else own_program(language, dialect, dialect.signature)
        )
        code = coloured(language.lexer, text.rstrip("\n"))
        found.append(Program(language, code))
    return tuple(found)
