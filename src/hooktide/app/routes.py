"""What the site of a process routes, made of its parts: imported after the start."""

from hooktide.app.parts import App
from hooktide.web.operations.deps import Deps
from hooktide.web.routes import make_routes
from hooktide.web.site import Routes


def routes_of(app: App) -> Routes:
    """Return everything that a process answers, but for ``POST /v1/events``."""
    return make_routes(
        Deps(
            store=app.store,
            directory=app.directory,
            auth=app.auth,
            url_policy=app.policy,
            clock=app.clock,
            public_url=app.public_url,
            vault=app.vault,
            try_now=app.worker.try_now,
            publisher=app.publisher,
            limits=app.limits,
            ready=app.readiness.check,
            metrics_page=app.metrics_page.page,
            stopping=app.stopping,
        )
    )
