"""The list of endpoints, and the forms by which they are added."""

from hooktide.domain.model import DAY
from hooktide.store.base import Page as Listed
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.views import endpoint_form

PAGE_SIZE = 50


@page("/endpoints")
async def endpoints(request: PageRequest) -> View:
    """``GET /dashboard/endpoints``; ``?only=trouble``: those that fail, or were disabled for it.

    ``?cause=`` those of them whose last failure had this cause.
    """
    scope, store = await request.within(), request.services.store
    if request.query.text("only") == "trouble":
        wanted = request.query.text("cause") or None
        listed = Listed(await store.troubled(scope, PAGE_SIZE, wanted), None)
    else:
        text = request.query.text("q")
        listed = await store.list_endpoints(scope, request.before("ep"), PAGE_SIZE, text)
    return request.show(
        "endpoints.html",
        projects=await request.projects(),
        rows=listed.items,
        more=listed.next_before,
        accounts=await request.accounts(each.account_id for each in listed.items),
        health=await store.health(scope, [each.id for each in listed.items], request.now - DAY),
    )


new_endpoint = page("/accounts/{id}/endpoints")(endpoint_form.new_endpoint)
create_endpoint = act("/accounts/{id}/endpoints", back=new_endpoint)(endpoint_form.create_endpoint)

PAGES = (endpoints, new_endpoint, create_endpoint)
