"""A receiver gets each event's type, in the body or else in a header."""

import pytest

from hooktide.dialects import read_shipped
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.signing import read_secret
from hooktide.domain.model import Event
from hooktide.domain.project.reading import parse_project

SMALL = 'name = "small"\n[event_types."invoice.paid"]\n'
LINE = b"\r\nhooktide-event-type: invoice.paid\r\n"


def head_of(file: str) -> bytes:
    event = Event(
        id=1,
        account_id=1,
        type="invoice.paid",
        payload=b'{"id": 1}',
        occurred_at=0,
        transition="SUBMIT",
    )
    composer = compile_dialect(parse_project(file).dialect)
    body = composer.body(event)
    secret = read_secret("a-secret-of-some-length-0123456789")
    return composer.compose(event, b"POST / HTTP/1.1\r\n", (secret,), body, 0)


@pytest.mark.parametrize(
    "file",
    [
        SMALL,
        read_shipped("hooktide"),
        SMALL + '[dialect.envelope]\nid = "{event.id}"\nkind = "{event.entity}"\n',
    ],
    ids=["smallest", "operational events", "envelope without it"],
)
def test_where_the_body_does_not_name_the_type_a_header_does(file: str) -> None:
    assert head_of(file).count(LINE) == 1


@pytest.mark.parametrize(
    "name",
    [
        "invoice-ahoy",
        "offerte-adviseur",
        "house-check",
        "invoice-maker",
        "defacto",
        "standard-webhooks",
    ],
)
def test_where_the_body_names_it_there_is_no_such_header(name: str) -> None:
    assert b"hooktide-event-type" not in head_of(read_shipped(name))
