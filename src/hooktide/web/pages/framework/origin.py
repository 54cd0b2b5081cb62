"""Whether a form was sent by a page of this site, not by another site's.

A browser says where a form comes from: ``Sec-Fetch-Site`` where it trusts the connection, and
``Origin`` always (our pages' referrer policy lets it). Requests without either are refused.
"""

from urllib.parse import urlsplit

from starlette.requests import Request

from hooktide.domain.errors import RefusedError
from hooktide.domain.phrase import phrase


def check_origin(request: Request, public_url: str) -> None:
    """Check that a request that changes something comes from a page of this server.

    :raises RefusedError: it does not, or does not say (403).
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "null")
    ours = {request.headers.get("host", ""), urlsplit(public_url).netloc} - {""}
    known = origin != "null"
    if site not in (None, "same-origin") or (known and _host(origin) not in ours):
        raise refused()
    if not known and site is None:
        raise refused()


def refused() -> RefusedError:
    """Make the error of a form that is not ours."""
    return RefusedError(
        "forbidden",
        phrase("this did not come from a page of this server; open the page again"),
        status=403,
    )


def other_session() -> RefusedError:
    """Return the error for a form from an earlier session in the same browser."""
    return RefusedError(
        "forbidden",
        phrase(
            "the page was opened before your last login, so nothing was saved: check the form and "
            "send it again"
        ),
        status=403,
    )


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
