"""Request bins."""

from collections.abc import Sequence
from datetime import datetime

from hooktide.client.requests import Request, Steps, call, command, instant, pages, raw
from hooktide.client.transport import Area, X, listing, operation
from hooktide.wire.bins import Bin, BinRequest, BinRequestUpdate, BinUpdate, NewBin, Step
from hooktide.wire.fields import PeriodQuery

WEEK = 7 * 86_400


class BinsArea(Area[X]):
    """Request bins: URLs on the server that record requests."""

    @operation
    def create(self, script: Sequence[Step] = (), *, ttl_seconds: int = WEEK) -> Request[Bin]:
        """Create a bin; without a script it answers 200."""
        body = NewBin(script=list(script), ttl_seconds=ttl_seconds)
        return call("POST", "/v1/bins", Bin, body=body)

    @operation
    def get(self, id: str) -> Request[Bin]:
        """Get a bin."""
        return call("GET", "/v1/bins/{id}", Bin, id=id)

    @operation
    def update(self, id: str, script: Sequence[Step]) -> Request[Bin]:
        """Replace a bin's script, starting with its first response."""
        return call("PATCH", "/v1/bins/{id}", Bin, body=BinUpdate(list(script)), id=id)

    @operation
    def delete(self, id: str) -> Request[None]:
        """Delete a bin and its requests."""
        return command("DELETE", "/v1/bins/{id}", id=id)

    @listing
    def requests(
        self,
        id: str,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Steps[BinRequest]:
        """List a bin's requests, newest first, from ``since`` on and before ``until``."""
        query = PeriodQuery(since=instant(since), until=instant(until))
        return pages("/v1/bins/{id}/requests", BinRequest, query, limit, id=id)

    @operation
    def request(self, id: str, request: str) -> Request[BinRequest]:
        """Get one of a bin's requests."""
        path = "/v1/bins/{id}/requests/{request_id}"
        return call("GET", path, BinRequest, id=id, request_id=request)

    @operation
    def update_request(self, id: str, request: str, note: str) -> Request[BinRequest]:
        """Replace the note on one of a bin's requests; empty removes it."""
        path = "/v1/bins/{id}/requests/{request_id}"
        body = BinRequestUpdate(note=note)
        return call("PATCH", path, BinRequest, body=body, id=id, request_id=request)

    @operation
    def body(self, id: str, request: str) -> Request[bytes]:
        """Get a request's body, up to its first 64 KB."""
        return raw("/v1/bins/{id}/requests/{request_id}/raw", id=id, request_id=request)

    @operation
    def clear(self, id: str) -> Request[None]:
        """Delete a bin's requests."""
        return command("DELETE", "/v1/bins/{id}/requests", id=id)
