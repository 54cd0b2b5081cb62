"""Actions on one endpoint: test, rotate, disable, enable, resume, delete."""

from dataclasses import dataclass

from hooktide.domain.ids import show
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework.page import act
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Redirect, View
from hooktide.web.pages.views.endpoint import endpoint
from hooktide.web.pages.views.secret import go_to_secret, new_secret


@dataclass(frozen=True, slots=True)
class TestForm:
    """The event type to test with; empty: the first that the endpoint subscribes to."""

    type: str


@act("/endpoints/{id}/test", back=endpoint)
async def test_endpoint(request: PageRequest, form: TestForm) -> View:
    """Send a test event immediately, and show the result on the endpoint's page."""
    number = request.id("ep")
    made = await request.services.endpoints.test(request.scope, number, form.type or None)
    tested = show("dlv", made.claim.delivery_id)
    return Redirect(_path(number), {"tested": tested}, fragment="tested")


@act("/endpoints/{id}/rotate", back=endpoint)
async def rotate_secret(request: PageRequest) -> View:
    """Rotate the secret, and show the new one once."""
    made = await request.services.endpoints.rotate(request.actor, request.scope, request.id("ep"))
    return await go_to_secret(request, made.endpoint, made.secret, made.previous_secret_expires_at)


@act("/endpoints/{id}/disable", back=endpoint)
async def disable_endpoint(request: PageRequest) -> View:
    """Disable it."""
    number = request.id("ep")
    await request.services.endpoints.disable(request.actor, request.scope, number)
    return request.go(_path(number), "endpoint.disabled")


@act("/endpoints/{id}/enable", back=endpoint)
async def enable_endpoint(request: PageRequest) -> View:
    """Enable it, and offer to replay what it missed."""
    number = request.id("ep")
    before = await request.services.store.get_endpoint(request.scope, number)
    await request.services.endpoints.enable(request.actor, request.scope, number)
    since = {} if before.disabled_at is None else {"since": show_time(before.disabled_at)}
    return request.go(_path(number), "endpoint.enabled", **since)


@act("/endpoints/{id}/resume", back=endpoint)
async def resume_endpoint(request: PageRequest) -> View:
    """End its rest."""
    number = request.id("ep")
    await request.services.endpoints.resume(request.actor, request.scope, number)
    return request.go(_path(number), "endpoint.resumed")


@act("/endpoints/{id}/delete", back=endpoint)
async def delete_endpoint(request: PageRequest) -> View:
    """Delete it, if confirmed."""
    found = await request.services.store.get_endpoint(request.scope, request.id("ep"))
    request.check_confirmed("delete")
    await request.services.endpoints.delete(request.actor, request.scope, found.id)
    return request.go(request.session.path_of_account(found.account_id), "endpoint.deleted")


def _path(number: int) -> str:
    return f"/endpoints/{show('ep', number)}"


PAGES = (
    test_endpoint,
    rotate_secret,
    new_secret,
    disable_endpoint,
    enable_endpoint,
    resume_endpoint,
    delete_endpoint,
)
