"""Every route of the portal."""

from starlette.routing import Route

from hooktide.actions.bins import Bins
from hooktide.actions.delivery_log import DeliveryLog
from hooktide.web.deps import Deps, Services
from hooktide.web.live import Live
from hooktide.web.portal.acting import Acting
from hooktide.web.portal.adding import Adding
from hooktide.web.portal.deliveries import Deliveries
from hooktide.web.portal.door import Door
from hooktide.web.portal.editing import Editing
from hooktide.web.portal.endpoint import One
from hooktide.web.portal.home import Home
from hooktide.web.portal.replaying import Replaying
from hooktide.web.portal.streams import Streams
from hooktide.web.portal.tools import Tools


def portal_routes(deps: Deps, services: Services) -> list[Route]:
    """Return the routes of the customer portal."""
    tools = _tools(deps, services)
    door = tools.door
    home, adding, one = Home(tools), Adding(tools), One(tools)
    acting, editing, replaying = Acting(tools), Editing(tools), Replaying(tools)
    deliveries, streams = Deliveries(tools), Streams(tools)
    endpoint = "/endpoints/{id}"
    return [
        door.get("", home.page),
        door.get("/", home.page),
        door.get("/theme.css", home.theme),
        door.get("/events", streams.events),
        door.get("/endpoints/new", adding.page),
        door.post("/endpoints/new", adding.add),
        door.get(endpoint, one.page),
        door.get(f"{endpoint}/edit", editing.page),
        door.post(f"{endpoint}/edit", editing.change),
        door.post(f"{endpoint}/test", acting.test),
        door.get(f"{endpoint}/rotate", acting.ask_rotate),
        door.post(f"{endpoint}/rotate", acting.rotate),
        door.get(f"{endpoint}/disable", acting.ask_disable),
        door.post(f"{endpoint}/disable", acting.disable),
        door.post(f"{endpoint}/enable", acting.enable),
        door.get(f"{endpoint}/remove", acting.ask_remove),
        door.post(f"{endpoint}/remove", acting.remove),
        door.get(f"{endpoint}/replay", replaying.page),
        door.post(f"{endpoint}/replay", replaying.start),
        door.get("/replays/{id}", replaying.job),
        door.post("/replays/{id}/cancel", replaying.cancel),
        door.get("/deliveries", deliveries.page),
        door.post("/deliveries/{id}/resend", deliveries.resend),
    ]


def _tools(deps: Deps, services: Services) -> Tools:
    return Tools(
        door=Door(services.portal_links, deps.directory, deps.clock, deps.public_url),
        store=deps.store,
        clock=deps.clock,
        public_url=deps.public_url,
        endpoints=services.endpoints,
        replays=services.replays,
        bins=Bins(deps.store, deps.clock),
        log=DeliveryLog(deps.store),
        live=Live(deps.stopping),
        chronicle=services.chronicle,
    )
