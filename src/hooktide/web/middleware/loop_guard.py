"""Refuses this installation's own deliveries: one event must not become thousands.

Each delivery names its sender in a header that customers cannot set. An endpoint that leads back
here, through a proxy or a name that the address rules cannot see through, with a key in a custom
header, would publish an event for each event, test itself with each test, and so on endlessly. Only
request bins are meant to get deliveries.
"""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from hooktide.domain.errors import RefusedError
from hooktide.web.problems.problems import problem_bytes, send_whole

SENDER = b"hooktide-sender"


def sender_line(sender: str) -> bytes:
    """Return the header line that names the sender of a delivery."""
    return b"%b: %b\r\n" % (SENDER, sender.encode("ascii"))


class LoopGuard:
    """The site, closed to deliveries of the senders that are this installation."""

    def __init__(self, site: ASGIApp, senders: Sequence[str]) -> None:
        self._site = site
        self.use(senders)

    def use(self, senders: Sequence[str]) -> None:
        """Name this installation: by each of its keys, of which a rotation has several."""
        self._own = [each.encode("ascii") for each in senders]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        for name, value in scope.get("headers", ()):
            if name == SENDER and value in self._own and not scope["path"].startswith("/bin/"):
                await send_whole(send, *problem_bytes(_loop_detected()))
                return
        await self._site(scope, receive, send)


def _loop_detected() -> RefusedError:
    return RefusedError(
        "loop_detected",
        "this is a delivery of this very server: its endpoint's URL leads back here",
        status=508,
    )
