"""The custom element ``<hooktide-portal>``, as a module that pages of other sites import.

``hooktide-portal/`` has it in the format of an npm package, which is published nowhere: a product
loads it from its server, or copies the folder.
"""

from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

HEADERS = {
    "access-control-allow-origin": "*",
    "cache-control": "public, max-age=300",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}


def embed_routes() -> list[Route]:
    """Return the route of the module."""
    return [Route("/embed/hooktide-portal.js", _serve)]


async def _serve(request: Request) -> Response:
    return Response(_content(), headers=HEADERS, media_type="text/javascript")


@cache
def _content() -> bytes:
    return (files("hooktide.web.pages") / "hooktide-portal" / "hooktide-portal.js").read_bytes()
