"""The names to show for ids in lists: an account's reference, an endpoint's URL.

Each is asked for once and remembered. Where it cannot be had (it was deleted, or the key does not
reach it), an account is shown by its id, and an endpoint without a URL.
"""

from hooktide.cli.output import line_of
from hooktide.client import Client, ForbiddenError, NotFoundError


class Names:
    """Asks a server for the names behind ids, each id once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._accounts: dict[str, str] = {}
        self._endpoints: dict[str, str] = {}

    def account(self, id: str) -> str:
        """Return an account's reference, or else its id."""
        if id not in self._accounts:
            try:
                self._accounts[id] = line_of(self._client.accounts.get(id).reference)
            except (NotFoundError, ForbiddenError):
                self._accounts[id] = id
        return self._accounts[id]

    def endpoint(self, id: str) -> str:
        """Return an endpoint's URL; ``-`` where it was deleted."""
        if id not in self._endpoints:
            try:
                self._endpoints[id] = line_of(self._client.endpoints.get(id).url)
            except NotFoundError:
                self._endpoints[id] = "-"
        return self._endpoints[id]
