"""A project that is written as a file is read back as the same project."""

from dataclasses import fields, replace
from typing import Any

import pytest
from docskit import HOSTILE, hostile_file

from hooktide.dialects import read_shipped, shipped
from hooktide.domain.project.project import EventType, NewAccounts, Plan, Project
from hooktide.domain.project.project_file import write_project
from hooktide.domain.project.reading import parse_project

FULL = """
name = "full"
title = 'A "full" \\ project'
mode = "test"
default_plan = "pro"
schema_policy = "warn"
disable_after = 0
rotation_overlap = "2d"
retention = "90d"
public_docs = false
index = ["invoice.number", "customer.größe"]

[accounts]
only = ["a", "b \\u202e"]
create_on_publish = true
plan = "pro"

[retry]
first = "30s"
factor = 2.5
max = "3h"

[fields]
url = "to_url"

[portal]
name = "Acme webhooks"
logo = "https://acme.example.com/logo.svg"
colour = "#0f766e"
origins = ["https://app.acme.example.com"]
support = "help@acme.example.com"

[portal.en]
welcome = "Connect \\"Acme\\""
endpoint = "connection"
endpoints = "connections"
event = "message"
events = "messages"

[portal.de]
welcome = "Grüße"

[plans.basic]
endpoints = 2
deliveries_per_hour = 1000
retries = 0
timeout = "1s"
changes_per_second = 5
tests_per_second = 2
filter_conditions = 7
channels = 3
metadata_bytes = 512
rate_limit = 200
endpoint_rate_limit = 50
max_timeout = "20s"

[plans.pro]

[dialect]
standard_headers = false
header_prefix = "x-acme"
user_agent = "Acme/1.0"

[dialect.headers]
X-Version = "2026-01"

[dialect.signature]
header = "X-Full"
algorithm = "hmac-sha1"
encoding = "base64"
content = "{id}.{body}"
value = "v1={signature},id={id}"
timestamp_header = "X-Full-At"

[dialect.envelope]
data = { "{event.entity}" = "{payload}", list = [1, 2.5, true, { a = "b" }] }
"odd key \\" '" = "{event.id}"
nothing = {}

[event_types."invoice.paid"]
description = "Two\\nlines, a \\u0007 and \\u200b"
transition = "PAY"
retry_delays = ["5s", "1m"]
timeout = "2.5s"
retention_days = 5
accounts = ["a"]
example = '''
{"id": 1,
  "n": 1.10}
'''
schema = '{"type": "object"}'
message = { text = "Paid {payload.n}", link = "https://example.com/{payload.id}", fields = ["id"] }

[event_types."a_b.c-d"]
example = "{\\"it's\\": \\"'''\\", \\"tab\\": 1}"
"""


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_project_comes_back_the_same(name: str) -> None:
    project = parse_project(read_shipped(name))
    assert parse_project(write_project(project)) == project


def test_everything_that_can_be_set_comes_back_the_same() -> None:
    project = parse_project(FULL)
    assert parse_project(write_project(project)) == project


@pytest.mark.parametrize("accounts", ['["a"]', '{only = ["a"]}'])
def test_a_closed_beta_alone_is_written_as_a_list(accounts: str) -> None:
    project = parse_project(f'name = "a"\naccounts = {accounts}')
    assert (project.accounts, project.new_accounts) == (("a",), NewAccounts())
    assert 'accounts = ["a"]\n' in write_project(project)


def test_the_full_project_has_everything_set() -> None:
    """A new key of projects must not be forgotten when files are written."""
    project = parse_project(FULL)
    plain = parse_project('name = "plain"')
    same = [name for name in _differing(project, plain) if name not in {"dialect", "retry"}]
    assert set(same) == {each.name for each in fields(Project)} - {"dialect", "retry"}
    assert set(_differing(project.plans[0], Plan(name=""))) == {each.name for each in fields(Plan)}
    types = {each.name for each in fields(EventType)}
    assert set(_differing(project.event_types[0], EventType(name=""))) == types
    dialect = set(_differing(project.dialect, plain.dialect))
    assert dialect == {each.name for each in fields(project.dialect)}


def _differing(one: Any, other: Any) -> list[str]:
    names = [each.name for each in fields(one)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def test_a_schedule_of_delays_comes_back_the_same() -> None:
    project = parse_project('name = "a"\n[retry]\ndelays = ["5s", "90m", "7d"]')
    assert parse_project(write_project(project)) == project


@pytest.mark.parametrize("text", [*HOSTILE, "'''", '"""', "\\", "\r", "\x7f\x85\u2028", "é😀", ""])
def test_any_text_comes_back_the_same(text: str) -> None:
    kind = EventType(name="a.b", description=text, transition=text, accounts=(text,))
    project = replace(
        parse_project('name = "a"'), title=text, event_types=(kind,), accounts=(text,)
    )
    assert parse_project(write_project(project)) == project


def test_a_hostile_project_comes_back_the_same() -> None:
    project = parse_project(hostile_file("a"))
    assert parse_project(write_project(project)) == project
