"""The texts of the customers' pages: all are marked, and all are translated."""

import ast
import re
import string
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import texts
from babel.messages.pofile import read_po as babel_read_po
from jinja2 import Environment

from hooktide.domain.model import (
    BY_HAND,
    BY_PROVIDER,
    CANCELLED_BY_HAND,
    PAYLOAD_ERASED,
    STOPPED_BY_HAND,
)
from hooktide.domain.phrase import Figure, Phrase, counted, phrase, phrases, read_back
from hooktide.domain.stored_reasons import detail_words, reason_words
from hooktide.store.deliveries.replays import EVENT_GONE
from hooktide.store.writing.failures import GONE
from hooktide.web.pages.framework.language import catalogue, preferred
from hooktide.web.pages.framework.po_file import read_po

GERMAN = texts.GERMAN.read_text("utf-8")
NAMES = {"URL", "UTC", "CSV", "JSON", "Ctrl", "Esc", "Enter", "cURL", "K", "j", "k"}
"""Words that are the same in each language."""


def test_the_german_catalogue_is_up_to_date() -> None:
    assert texts.updated().decode() == GERMAN, "run tests/texts.py, and translate what it added"


def test_each_text_is_translated_with_its_places_and_its_markup() -> None:
    with texts.GERMAN.open("rb") as file:
        found = babel_read_po(file, locale="de")
    for message in found:
        if message.id:
            assert not message.fuzzy, message.id
            for before, after in zip(_forms(message.id), _forms(message.string), strict=True):
                assert after, before
                assert _places(after) == _places(before), after
                assert sorted(_tags(after)) == sorted(_tags(before)), after


def _forms(text: Any) -> Sequence[str]:
    """Return the forms of a message: one, or that for one and that for several."""
    return (text,) if isinstance(text, str) else text


def _places(text: str) -> set[str]:
    percent = set(re.findall(r"%\((\w+)\)s", text))
    if percent or "%%" in text:
        return percent
    if "<code>{" in text:  # marked in a template, where braces are nothing special
        return set()
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _tags(text: str) -> list[str]:
    return re.findall(r"</?\w+[^>]*>", text) if "</" in text else []


def test_the_reader_reads_what_babel_reads() -> None:
    with texts.GERMAN.open("rb") as file:
        found = babel_read_po(file, locale="de")
    expected = {_forms(each.id)[0]: tuple(_forms(each.string)) for each in found if each.id}
    assert {name: tuple(said) for name, said in read_po(GERMAN).items()} == expected


def test_what_is_fuzzy_or_not_translated_stays_english() -> None:
    text = (
        '#, fuzzy\nmsgid "a"\nmsgstr "b"\n\nmsgid "c"\nmsgstr ""\n\nmsgid "d\\n"\n"e"\nmsgstr "f"\n'
    )
    assert read_po(text) == {"d\ne": ["f"]}


@pytest.mark.parametrize("folder", texts.TEMPLATES)
def test_no_text_of_a_template_is_unmarked(folder: str) -> None:
    for path in sorted((texts.PAGES / "templates" / folder).glob("*.html")):
        assert list(_unmarked(path)) == [], path.name


def _unmarked(path: Path) -> Iterator[str]:
    words = _Words()
    words.feed("".join(_outside(path.read_text("utf-8"))))
    for text in words.found:
        attributes = re.fullmatch(r'\s*([\w-]+="[^"]*"\s*)+', text)  # of a macro
        if not attributes and set(re.findall(r"[A-Za-z]+", text)) - NAMES:
            yield text.strip()


def _outside(source: str) -> Iterator[str]:
    """Yield what a template writes as it is: not what is marked, nor code."""
    inside, opened = False, ""
    for _, kind, value in Environment(extensions=["jinja2.ext.i18n"]).lex(source):
        if kind == "block_begin":
            opened = "?"
        elif kind == "name" and opened == "?":
            opened = value
            inside = inside or value == "trans"
        elif kind == "block_end":
            inside = inside and opened != "endtrans"
        elif kind == "data" and not inside:
            yield value


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._as_it_is = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._as_it_is += tag == "code"
        spoken = {"aria-label", "placeholder", "title", "alt"}
        examples = {"https://example.com/webhooks", '{"amount": {"$gte": 100}}', "evt_…"}
        for name, text in attrs:
            if name in spoken and text is not None and text not in examples:
                self.found.append(text)

    def handle_endtag(self, tag: str) -> None:
        self._as_it_is -= tag == "code"

    def handle_data(self, data: str) -> None:
        if not self._as_it_is:
            self.found.append(data)


def test_a_phrase_is_its_english_text_and_is_said_in_german() -> None:
    said = phrase(
        "The plan allows {deliveries} an hour, and they are used up. This one waits, and is "
        "sent automatically as soon as the limit allows.",
        deliveries=counted(1200, "delivery"),
    )
    assert said.startswith("The plan allows 1,200 deliveries an hour")
    assert catalogue("en").say(said) == said
    assert catalogue("de").say(said).startswith("Der Tarif erlaubt 1.200 Zustellungen pro Stunde")


def test_one_and_several_are_told_apart() -> None:
    german = catalogue("de")
    for count, expected in ((0, "0 Ereignisse"), (1, "1 Ereignis"), (2, "2 Ereignisse")):
        assert german.say(counted(count, "event")) == expected
        assert german.say(phrases("{count} event", "{count} events", count)) == expected


def test_numbers_have_the_signs_of_the_language() -> None:
    assert catalogue("de").say(Figure("1,714.5")) == "1.714,5"
    assert catalogue("en").say(Figure("1,714.5")) == "1,714.5"


def test_values_are_not_read_as_messages() -> None:
    said = phrase("Stopped: {reason}.", reason="{count} %(x)s now")
    assert catalogue("de").say(said) == "Nicht mehr gesendet: {count} %(x)s now."


def test_a_stored_reason_is_recognised() -> None:
    found = read_back("1,000 deliveries failed in a row", "{count} deliveries failed in a row")
    assert catalogue("de").say(found) == "1.000 Zustellungen in Folge fehlgeschlagen"
    assert read_back("x deliveries failed", "{count} deliveries failed") == "x deliveries failed"


@pytest.mark.parametrize(
    ("reason", "german"),
    [
        (BY_HAND, "von Hand deaktiviert"),
        (BY_PROVIDER, "vom Anbieter deaktiviert"),
        (STOPPED_BY_HAND, "von Hand gestoppt"),
        (CANCELLED_BY_HAND, "von Hand abgebrochen"),
        (PAYLOAD_ERASED, "Nutzdaten gelöscht"),
        (EVENT_GONE, "das Ereignis wird nicht mehr aufbewahrt"),
        (GONE, "der Empfänger antwortete mit 410 Gone"),
    ],
)
def test_a_stored_reason_is_said_in_german(reason: str, german: str) -> None:
    assert reason_words(reason) == reason
    assert catalogue("de").say(reason_words(reason)) == german


def test_each_reason_of_a_network_error_is_known() -> None:
    files = [path for path in (texts.SOURCE / "outbound").glob("*.py") if path.name != "mail.py"]
    found = {text for path in files for text in _details(ast.parse(path.read_text("utf-8")))}
    assert "the receiver did not respond in time" in found
    assert [each for each in sorted(found) if not isinstance(detail_words(each), Phrase)] == []


def _details(tree: ast.Module) -> Iterator[str]:
    """Yield the texts that outcomes are given as their detail, as far as they are written there."""
    functions = {"_tls_error": 0, "_fail": 1, "expire": 1}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            given = [each.value for each in call.keywords if each.arg in ("detail", "problem")]
            place = functions.get(getattr(call.func, "attr", getattr(call.func, "id", "")))
            if place is not None:
                given += call.args[place : place + 1]
            yield from (
                each.value
                for each in given
                if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value
            )


@pytest.mark.parametrize(
    ("detail", "german"),
    [
        ("could not connect: connection refused", "keine Verbindung möglich: Verbindung abgelehnt"),
        (
            "no DNS server answered within 2 s",
            "kein DNS-Server hat innerhalb von 2 Sek. geantwortet",
        ),
        ("299 is not an HTTP status", "299 ist kein HTTP-Status"),
        ("the receiver ended TLS: internal error", "der Empfänger beendete TLS: internal error"),
        ("what another release said: {x}", "what another release said: {x}"),
    ],
)
def test_a_network_error_is_said_in_german(detail: str, german: str) -> None:
    assert detail_words(detail) == detail
    assert catalogue("de").say(detail_words(detail)) == german


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr-FR,fr;q=0.9,de;q=0.5,en;q=0.3", "de"),
        ("fr", "en"),
        ("DE;q=1, EN;q=0.1", "de"),
        ("de;q=0", "en"),
        ("de;q=x", "en"),
        ("de;level=1;q=1", "en"),
        ("*", "en"),
        (",;,", "en"),
    ],
)
def test_the_browsers_language_is_the_one_it_prefers(header: str, language: str) -> None:
    assert preferred(header) == language
