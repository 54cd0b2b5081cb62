"""What a server answers while its database is away at the start: its health, and 503 else."""

from starlette.types import Receive, Scope, Send

from hooktide.domain.errors import UnavailableError
from hooktide.web.health import JSON, LIVE, Readiness
from hooktide.web.problems.problems import problem_bytes, send_whole

RETRY_AFTER = 2


class StartingSite:
    """Answers until the database is there; ``reason`` says why it is away."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"].endswith("/health/live"):
            status, body, headers = 200, LIVE, _JSON
        elif scope["path"].endswith("/health/ready"):
            answer = Readiness([f"the database: {self.reason}"])
            status, body, headers = 503, answer.body(), _JSON
        else:
            status, body, headers = problem_bytes(
                UnavailableError("the server waits for its database", retry_after=RETRY_AFTER)
            )
        await send_whole(send, status, body, headers)


_JSON = [(b"content-type", JSON.encode())]
