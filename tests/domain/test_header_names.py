"""The names of the Standard Webhooks headers, and the User-Agent, as a project sets them."""

from collections.abc import Mapping

import pytest

from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.signing import new_secret, verify
from hooktide.domain.errors import ConfigError
from hooktide.domain.http.address import UrlPolicy, check_url
from hooktide.domain.model import SECOND, Event
from hooktide.domain.project.project import Project
from hooktide.domain.project.project_file import write_project
from hooktide.domain.project.reading import parse_project

SECRET = new_secret(bytes(range(32)))
AT = 1_700_000_000 * SECOND
EVENT = Event(id=5, account_id=1, type="a.b", payload=b"{}", occurred_at=AT)


def project(dialect: str) -> Project:
    return parse_project(f'name = "acme"\n[dialect]\n{dialect}\n')


def headers_of(made: Project) -> Mapping[str, str]:
    prefix = check_url("https://example.com/", UrlPolicy()).prefix_of(made.dialect.user_agent)
    composer = compile_dialect(made.dialect)
    head = composer.compose(EVENT, prefix, (SECRET,), b"{}", AT).decode()
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])


def test_the_three_headers_have_the_projects_prefix() -> None:
    plain, renamed = headers_of(project("")), headers_of(project('header_prefix = "svix"'))
    assert not any(name.startswith("webhook-") for name in renamed)
    for name in ("id", "timestamp", "signature"):
        assert renamed[f"svix-{name}"] == plain[f"webhook-{name}"]


def test_the_user_agent_is_the_projects() -> None:
    assert headers_of(project(""))["user-agent"].startswith("Hooktide/")
    renamed = headers_of(project('user_agent = "Acme-Webhooks/1.0 (+https://acme.example.com)"'))
    assert renamed["user-agent"] == "Acme-Webhooks/1.0 (+https://acme.example.com)"
    assert list(renamed) == list(headers_of(project("")))


def test_what_is_verified_has_the_projects_names() -> None:
    made = project('header_prefix = "svix"')
    given = headers_of(made)
    found = verify(made.dialect, (SECRET,), given.items(), b"{}", AT)
    assert (found.valid, [check.header for check in found.checks]) == (True, ["svix-signature"])
    plain = verify(project("").dialect, (SECRET,), given.items(), b"{}", AT)
    assert plain.reason == "there is no webhook-id header"
    less = [pair for pair in given.items() if pair[0] != "svix-timestamp"]
    assert verify(made.dialect, (SECRET,), less, b"{}", AT).reason == (
        "there is no svix-timestamp header"
    )


def test_a_signature_of_its_own_takes_id_and_time_from_headers_of_these_names() -> None:
    own = 'header = "X-Acme"\ncontent = "{id}.{timestamp}.{body}"'
    made = project(f'header_prefix = "svix"\n[dialect.signature]\n{own}')
    assert verify(made.dialect, (SECRET,), headers_of(made).items(), b"{}", AT).valid


def test_the_names_are_not_free_for_an_endpoints_own_headers() -> None:
    assert "svix-id" in project('header_prefix = "svix"').dialect.header_names
    off = project('header_prefix = "svix"\nstandard_headers = false').dialect
    assert off.header_names == frozenset()


def test_they_survive_being_written_as_a_file() -> None:
    text = 'header_prefix = "x-acme"\nuser_agent = "Acme \\"1\\""'
    for more in ("", "\nstandard_headers = false"):
        made = project(text + more)
        assert parse_project(write_project(made)) == made
    assert "header_prefix" not in write_project(project(""))


@pytest.mark.parametrize(
    ("dialect", "key", "said"),
    [
        ('header_prefix = ""', "dialect.header_prefix", "lower case letters"),
        ('header_prefix = "Svix"', "dialect.header_prefix", "lower case letters"),
        ('header_prefix = "svix-"', "dialect.header_prefix", "like svix"),
        ('header_prefix = "s vix"', "dialect.header_prefix", "like svix"),
        (f'header_prefix = "{"x" * 31}"', "dialect.header_prefix", "up to 30"),
        ('header_prefix = "hooktide"', "dialect.header_prefix", "is set by the sender"),
        ('header_prefix = "proxy"', "dialect.header_prefix", "is set by the sender"),
        ("header_prefix = 1", "dialect.header_prefix", "expected a string"),
        ('user_agent = "Ac\\nme"', "dialect.user_agent", "printable ASCII"),
        ('user_agent = "Acmé"', "dialect.user_agent", "printable ASCII"),
        ('user_agent = " Acme"', "dialect.user_agent", "spaces"),
        (f'user_agent = "{"x" * 201}"', "dialect.user_agent", "up to 200"),
        (
            'header_prefix = "svix"\n[dialect.signature]\nheader = "Svix-Signature"',
            "dialect.signature.header",
            "choose another",
        ),
        (
            'header_prefix = "svix"\n[dialect.headers]\nSvix-Id = "1"',
            "dialect.headers.Svix-Id",
            "there already",
        ),
    ],
)
def test_what_is_wrong_names_the_key_and_what_would_be_right(
    dialect: str, key: str, said: str
) -> None:
    with pytest.raises(ConfigError) as wrong:
        project(dialect)
    assert wrong.value.key == key
    assert said in wrong.value.reason


def test_a_signature_may_have_the_name_where_the_three_are_not_sent() -> None:
    made = project(
        'header_prefix = "svix"\nstandard_headers = false\n'
        '[dialect.signature]\nheader = "Svix-Signature"'
    )
    assert "Svix-Signature" in headers_of(made)
