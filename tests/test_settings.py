"""The settings: valid combinations, and values that are never shown."""

from pathlib import Path

import pytest

from hooktide.domain.errors import ConfigError
from hooktide.runtime.settings import Settings, check, without_password

URL = "postgresql://hooktide@db.internal:5432/hooktide"


@pytest.mark.parametrize("url", [URL, "postgres:///hooktide?host=/run/postgresql"])
@pytest.mark.parametrize("role", ["all", "api", "worker"])
def test_postgresql_takes_any_role_and_many_processes(url: str, role: str) -> None:
    check(Settings(database=url, key_file="key", role=role, processes=8))


def test_one_process_that_does_everything_is_the_default_and_fits_a_file() -> None:
    check(Settings())
    assert Settings().key_path == Path("hooktide.db.key")


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        (Settings(database=URL), "--key-file"),
        (Settings(database=URL, key_file="key", database_direct="x.db"), "--database-direct"),
        (Settings(database=URL, key_file="key", database_connections=0), "--database-connections"),
        (Settings(database=URL, key_file="key", processes=0), "--processes"),
        (Settings(database=URL, key_file="key", role="both"), "--role"),
        (Settings(role="api"), "--role"),
        (Settings(processes=2), "--processes"),
        (Settings(database_direct=URL), "--database-direct"),
        (Settings(database=""), "--database"),
        (Settings(record_within=-1), "--record-within"),
        (Settings(record_within=1001), "--record-within"),
        (Settings(chat_host=("https://chat.example.com",)), "--chat-host"),
    ],
)
def test_conflicting_settings_are_reported_by_option(wrong: Settings, key: str) -> None:
    with pytest.raises(ConfigError) as told:
        check(wrong)
    assert told.value.key == key


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u:se@cret/s:e?c#ret@h/db", "postgresql://u:***@h/db"),
        ("postgresql://:secret@h/db", "postgresql://:***@h/db"),
        ("postgresql://h/db?password=secret&user=u", "postgresql://h/db?password=***&user=u"),
        ("postgresql://h/db?sslpassword=secret", "postgresql://h/db?sslpassword=***"),
        ("postgresql://u@h1:1,h2:2/db", "postgresql://u@h1:1,h2:2/db"),
        ("hooktide.db", "hooktide.db"),
    ],
)
def test_a_password_in_the_databases_url_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert Settings(database=url).database_shown == shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (Settings(listen="127.0.0.1:0"), "http://127.0.0.1:8081"),
        (Settings(listen="[::1]:0"), "http://[::1]:8081"),
        (Settings(public_url="https://hooks.example.com/"), "https://hooks.example.com"),
    ],
)
def test_a_servers_url_is_what_the_world_sees_or_else_where_it_listens(
    settings: Settings, url: str
) -> None:
    assert settings.url(8081) == url


@pytest.mark.parametrize(
    "url",
    ["https://a.example", "http://127.0.0.1:8080/", "https://[::1]:8443/x/v1", "http://h/hooks"],
)
def test_a_public_url_has_a_host_and_perhaps_a_path(url: str) -> None:
    check(Settings(public_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https://?a=b",
        "https://a.example?a=b",
        "https://a.example/#x",
        "https://u:p@a.example",
        "https://a b",
        "https:///hooks",
        "https://a.example:x",
        "https://a.example//hooks",
        "a.example",
        "https://a.example/v1",
        "https://a.example/v1/hooks",
        "https://a.example/hooks/../v1",
        "https://a.example/./hooks",
        "https://a.example/..",
    ],
)
def test_a_public_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(Settings(public_url=url))
    assert refused.value.key == "--public-url"
