"""The portal's box: endpoints, deliveries, event types and indexed values of one's own account."""

from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Redirect, View
from hooktide.web.pages.views.search import find, place_of, place_of_event, place_of_id


@page("/search")
async def search(request: PageRequest) -> View:
    """Show what ``?q=`` finds."""
    text = request.query.text("q")
    place = await place_of_id(request, text, place_of)
    if place:
        return Redirect(place)
    results = await find(request, text)
    if results.only_event is not None:
        return Redirect(place_of_event(request, results.only_event.event.id))
    return request.show("search.html", text=text, results=results)


PAGES = (search,)
