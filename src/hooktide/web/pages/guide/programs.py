"""How a receiver verifies, in six languages: programs written from the project's own scheme.

Each program is a template in ``snippets/``, named for the scheme and the language: ``own`` is the
project's own signature, ``standard`` the Standard Webhooks headers. The tests run all of them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hooktide.domain.dialect.dialect import Dialect, Encoding, Signature
from hooktide.domain.dialect.signing import TOLERANCE, slot_form
from hooktide.domain.dialect.template import Part, Slot, parts
from hooktide.domain.model import SECOND
from hooktide.domain.phrase import phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A language that programs are written in.

    ``needs``: what a program runs on. ``bring`` says, as Markdown, where it gets the headers and
    the raw body from; both are phrases. ``quote`` writes a text as its literal, ``plus`` joins two
    texts, ``sigil`` begins a variable.
    """

    key: str
    title: str
    file: str
    needs: str
    bring: str
    lexer: str
    quote: Callable[[str], str]
    plus: str = " + "
    sigil: str = ""


def _quoted(mark: str, text: str) -> str:
    """Write printable ASCII as a literal."""
    return mark + text.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark


_single, _double = partial(_quoted, "'"), partial(_quoted, '"')

LANGUAGES = (
    Language(
        key="javascript",
        title="JavaScript",
        file="verify.mjs",
        needs=phrase("JavaScript, Node 18 or newer"),
        bring=phrase(
            "In Express, `express.raw({{ type: 'application/json' }})` before the route makes "
            "`req.body` the raw bytes; `req.headers` has the headers."
        ),
        lexer="javascript",
        quote=_single,
    ),
    Language(
        key="php",
        title="PHP",
        file="verify.php",
        needs=phrase("PHP 8 or newer"),
        bring=phrase(
            "The raw body is `file_get_contents('php://input')`, the headers are "
            "`array_change_key_case(getallheaders())`."
        ),
        lexer="php",
        quote=_single,
        plus=" . ",
        sigil="$",
    ),
    Language(
        key="python",
        title="Python",
        file="verify.py",
        needs=phrase("Python 3.9 or newer"),
        bring=phrase(
            "The raw body is `request.get_data()` in Flask, `request.body` in Django, "
            "`await request.body()` in FastAPI; `request.headers` has the headers in all."
        ),
        lexer="python",
        quote=_double,
    ),
    Language(
        key="ruby",
        title="Ruby",
        file="verify.rb",
        needs=phrase("Ruby 3.0 or newer"),
        bring=phrase(
            "In Rails, the raw body is `request.raw_post`, and `request.headers` has the headers."
        ),
        lexer="ruby",
        quote=_single,
    ),
    Language(
        key="go",
        title="Go",
        file="verify.go",
        needs=phrase("Go 1.19 or newer"),
        bring=phrase(
            "The raw body is what `io.ReadAll(r.Body)` returns; `r.Header.Get` finds a header."
        ),
        lexer="go",
        quote=_double,
    ),
    Language(
        key="java",
        title="Java",
        file="Verify.java",
        needs=phrase("Java 17 or newer"),
        bring=phrase(
            "In Spring, take the raw body as `@RequestBody byte[] body`; "
            "`request::getHeader` finds a header."
        ),
        lexer="java",
        quote=_double,
    ),
)
"""In the order in which they are offered."""


def own_program(language: Language, dialect: Dialect, signature: Signature) -> str:
    """Write the program that checks a project's own signature."""
    return _render("own", language, **_recipe(language, dialect, signature))


def standard_program(language: Language, dialect: Dialect) -> str:
    """Write the program that checks the Standard Webhooks headers.

    It takes the secret in the form in which the project's customers see it.
    """
    shown_as_hex = dialect.signature is not None
    return _render("standard", language, shown_as_hex=shown_as_hex, names=dialect.standard_names)


def _render(scheme: str, language: Language, **facts: Any) -> str:
    template = _programs.get_template(f"{scheme}.{language.key}.j2")
    tolerance = TOLERANCE // SECOND
    return template.render(facts, q=language.quote, tolerance=tolerance)


# These are programs, not pages: they are escaped where they are shown.
_programs = Environment(
    loader=PackageLoader("hooktide.web.pages.guide", "snippets"),
    autoescape=False,  # noqa: S701
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
)


def is_timed(signature: Signature) -> bool:
    """Return whether a signature covers a timestamp, which receivers compare with their clock."""
    return "timestamp" in _slots(signature.content)


def _slots(text: str) -> list[str]:
    return [part.name for part in parts(text, "") if isinstance(part, Slot)]


def _recipe(language: Language, dialect: Dialect, signature: Signature) -> dict[str, Any]:
    """Return the steps of a verification program, in terms of its language.

    ``before`` and ``after`` are what is signed around the body, as expressions (empty: nothing).
    ``pattern`` is the form of a header that tells more than the signature, as a regular expression,
    and ``takes`` are its groups that are signed; without it the header is ``prefix``, signature
    and ``suffix``. ``timestamp`` and ``id`` are the headers of signed values that are not in it.
    """
    sent, signed = _slots(signature.value), _slots(signature.content)
    plain = sent == ["signature"]
    before, after = _around(signature.content, "body")
    prefix, suffix = _around(signature.value, "signature")
    elsewhere = [name for name in signed if name not in sent]
    stamp_header = (signature.timestamp_header or dialect.standard_names.timestamp).lower()
    return {
        "header": signature.header.lower(),
        "hash": signature.algorithm.removeprefix("hmac-"),
        "base64": signature.encoding is Encoding.BASE64,
        "before": _joined(language, before),
        "after": _joined(language, after),
        "prefix": "".join(map(str, prefix)) if plain else "",
        "suffix": "".join(map(str, suffix)) if plain else "",
        "pattern": "" if plain else _pattern(signature, language),
        "takes": [name for name in sent if name in signed],
        "timed": is_timed(signature),
        "timestamp": stamp_header if "timestamp" in elsewhere else "",
        "id": dialect.standard_names.id if "id" in elsewhere else "",
    }


def _around(text: str, middle: str) -> tuple[list[Part], list[Part]]:
    """Return what is before and after a slot."""
    found = list(parts(text, ""))
    at = found.index(Slot(middle))
    return found[:at], found[at + 1 :]


def _joined(language: Language, found: list[Part]) -> str:
    """Write texts and variables as one expression; empty if there are none."""
    return language.plus.join(
        language.sigil + part.name if isinstance(part, Slot) else language.quote(part)
        for part in found
    )


def _pattern(signature: Signature, language: Language) -> str:
    """Write the form of the header's value as a regular expression that the languages share."""
    named = "?P" if language.key in {"go", "python"} else "?"
    return "".join(
        f"({named}<{part.name}>{slot_form(part.name, signature)})"
        if isinstance(part, Slot)
        else re.sub(r"[\\^$.|?*+()\[\]{}/#]", r"\\\g<0>", part)
        for part in parts(signature.value, "")
    )
