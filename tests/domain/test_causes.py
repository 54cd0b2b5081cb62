"""A failure's cause is one of a few, and each has a name and a remedy."""

import pytest

from hooktide.domain.delivery.causes import NAMES, NOT_KNOWN, cause, cause_of
from hooktide.domain.delivery.verdict import ERRORS


@pytest.mark.parametrize(
    ("status", "error", "detail", "name"),
    [
        (401, "", "", "401"),
        (503, "", "", "503"),
        (None, "timeout", "", "timeout"),
        (None, "dns_error", "no such name", "dns"),
        (None, "connect_error", "could not connect: Connection refused", "refused"),
        (None, "connect_error", "could not connect: No route to host", "unreachable"),
        (None, "tls_error", "the certificate has expired", "tls_expired"),
        (None, "tls_error", "the certificate is for another host name", "tls_name"),
        (None, "tls_error", "the receiver does not speak TLS on this port", "tls_plain"),
        (None, "tls_error", "something else", "tls"),
        (None, "destination_forbidden", "", "blocked"),
    ],
)
def test_an_attempt_failed_of_one_cause(
    status: int | None, error: str, detail: str, name: str
) -> None:
    assert cause_of(status, error, detail) == name


def test_every_error_has_a_cause_and_every_cause_a_name_and_a_remedy() -> None:
    for error in ERRORS:
        assert cause_of(None, error, "") in NAMES
    for name in (*NAMES, "401", "301", "599"):
        found = cause(name)
        assert found.title != name or name == "599"
        assert found.remedy or name == NOT_KNOWN


def test_a_cause_of_a_later_release_is_shown_as_it_is() -> None:
    assert cause("quota").title == "quota"
