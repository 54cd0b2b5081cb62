"""What lists show besides a server's items: an account's reference, an endpoint's URL, a retry.

A name is asked for once and remembered. Where it cannot be had (it was deleted, or the key does not
reach it), an account is shown by its id, and an endpoint without a URL.
"""

from hooktide.cli.output import line_of, time
from hooktide.client import Client, ForbiddenError, NotFoundError
from hooktide.wire.events import Delivery


class Names:
    """Asks a server for the names behind ids, each id once, and for the attempts of retries."""

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

    def retry(self, delivery: Delivery) -> str:
        """Return what a delivery's last attempt got and when the next one is due.

        Empty: no attempt has failed, or none is to follow.
        """
        if delivery.state != "pending" or not delivery.attempts:
            return ""
        attempts = self._client.deliveries.attempts(delivery.id)
        said = []
        if attempts:
            said.append(attempts[-1].error or f"status {attempts[-1].status}")
        if delivery.next_attempt_at is not None:
            said.append(f"next attempt {time(delivery.next_attempt_at)}")
        return ", ".join(said)
