"""Human-readable messages for events."""

from typing import Any

import msgspec
import pytest

from hooktide.domain.errors import ConfigError
from hooktide.domain.messages.message import Wording, compose_message, title_of
from hooktide.domain.model import SECOND, Event
from hooktide.domain.project.reading import parse_project


def event(payload: str, type_: str = "invoice.paid") -> Event:
    return Event(id=0x1234, account_id=1, type=type_, payload=payload.encode(), occurred_at=SECOND)


@pytest.mark.parametrize(
    ("event_type", "title"),
    [
        ("invoice.paid", "Invoice paid"),
        ("Invoice.AUTO_SUBMITTED", "Invoice auto submitted"),
        ("invoicePaid", "Invoice paid"),
    ],
)
def test_an_event_type_is_written_as_people_would(event_type: str, title: str) -> None:
    assert title_of(event_type) == title


def test_the_fields_that_tell_most_come_first_and_ids_last() -> None:
    message = compose_message(
        event(
            '{"id":"8f14e45f","note":"n","total":1.10,"customer":{"name":"Ann","id":7},'
            '"invoice_number":"17","lines":[1,2],"paid":true,"empty":"","nothing":null}'
        ),
        Wording(),
    )
    assert message.fields == (
        ("Invoice number", "17"),
        ("Total", "1.10"),
        ("Customer name", "Ann"),
        ("Note", "n"),
        ("Paid", "yes"),
        ("Id", "8f14e45f"),
    )


@pytest.mark.parametrize(
    ("payload", "link"),
    [
        ('{"url":"https://app.example.com/i/1"}', "https://app.example.com/i/1"),
        ('{"invoice":{"html_url":"https://app.example.com/i/1"}}', "https://app.example.com/i/1"),
        ('{"url":"javascript:alert(1)"}', ""),
        ('{"url":"https://a.example/ <b>"}', ""),
        ('{"url":"https://a.example/|x"}', ""),
        ('{"url":"https://user:pw@a.example/"}', ""),
        ('{"avatar_url":"https://a.example/x.png","api_url":"https://a.example/"}', ""),
        (
            '{"hosted_invoice_url":"https://b.example/","url":"https://a.example/"}',
            "https://a.example/",
        ),
        ("[]", ""),
        ("7", ""),
    ],
)
def test_a_link_is_found_where_the_payload_has_one(payload: str, link: str) -> None:
    assert compose_message(event(payload), Wording()).link == link


def test_a_project_says_it_in_its_own_words() -> None:
    wording = Wording(
        text="Invoice {payload.number} of {payload.customer.name} was paid ({event.type})",
        link="https://app.example.com/i/{payload.number}?for={payload.customer.name}",
        fields=("lines.0.sku", "missing"),
    )
    payload = '{"number":"a/17","customer":{"name":"Ann & Co"},"lines":[{"sku":"x1"}]}'
    message = compose_message(event(payload), wording)
    assert message.title == "Invoice a/17 of Ann & Co was paid (invoice.paid)"
    assert message.link == "https://app.example.com/i/a%2F17?for=Ann%20%26%20Co"
    assert message.fields == (("Lines 0 sku", "x1"), ("Missing", "—"))
    assert message.line == message.title


def test_what_a_payload_lacks_is_a_dash_in_the_projects_words() -> None:
    message = compose_message(event("{}"), Wording(text="Invoice {payload.number}"))
    assert message.title == "Invoice —"


PROJECT = """
name = "acme"
[event_types."invoice.paid"]
example = '{"number": "17"}'
[event_types."invoice.paid".message]
"""


def test_the_words_stand_in_the_projects_file_and_last_in_the_database() -> None:
    project = parse_project(PROJECT + 'text = "Invoice {payload.number}"\nfields = ["number"]\n')
    [kind] = project.event_types
    assert kind.message == Wording(text="Invoice {payload.number}", fields=("number",))
    assert msgspec.json.decode(msgspec.json.encode(project), type=type(project)) == project


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('text = "Invoice {payload.nummer}"', "text"),
        ('text = "Invoice {number}"', "text"),
        ('text = "Invoice {payload.number|upper}"', "text"),
        ('text = "Invoice {payload.number"', "text"),
        ('link = "https://a.example/{payload.id}"', "link"),
        ('fields = ["id"]', "fields"),
        ('txt = "x"', "txt"),
    ],
)
def test_words_that_ask_for_what_is_not_there_are_refused_with_their_line(
    line: str, key: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_project(PROJECT + line + "\n")
    assert refused.value.line == 6
    assert refused.value.key == f'event_types."invoice.paid".message.{key}'


def test_numbers_stay_as_they_are_written() -> None:
    payload: Any = '{"total": 1.10, "amount": 12345678901234567890, "rate": 1e5}'
    values = dict(compose_message(event(payload), Wording()).fields)
    assert values == {"Total": "1.10", "Amount": "12345678901234567890", "Rate": "1e5"}
