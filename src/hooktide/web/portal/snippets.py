"""How to verify, in the customer's language, for the moment in which they see their secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from hooktide.domain.dialect import Dialect
from hooktide.domain.model import Secret
from hooktide.domain.signing import whsec
from hooktide.web.docs.blocks import Listing, Text, Tongue
from hooktide.web.docs.programs import LANGUAGES, own_program, standard_program
from hooktide.web.docs.render import coloured


@dataclass(frozen=True, slots=True)
class Program:
    """A program that verifies, and where it gets the headers and the body from."""

    tongue: Tongue
    needs: str
    code: Markup
    bring: Text


@dataclass(frozen=True, slots=True)
class ShownSecret:
    """A secret, shown once: as the project's signature takes it, and as libraries do.

    ``library`` is empty where the two are the same, or there are no Standard Webhooks headers.
    """

    text: str
    library: str


def show_secret(secret: Secret, dialect: Dialect) -> ShownSecret:
    """Show a secret as a project's customers use it."""
    if dialect.signature is None:
        return ShownSecret(whsec(secret), "")
    return ShownSecret(secret.text, whsec(secret) if dialect.standard_headers else "")


@lru_cache(maxsize=64)
def programs(dialect: Dialect) -> Sequence[Program]:
    """Write the programs for a wire format, in the order of the languages; none if unsigned."""
    if dialect.signature is None and not dialect.standard_headers:
        return ()
    found = []
    for language in LANGUAGES:
        text = (
            standard_program(language, dialect)
            if dialect.signature is None
            else own_program(language, dialect, dialect.signature)
        )
        listing = Listing("", language.needs, language.lexer, text.rstrip("\n"))
        found.append(Program(language.tongue, language.needs, coloured(listing), language.bring))
    return tuple(found)
