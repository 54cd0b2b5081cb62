"""Endpoints, and the customers' API for the same endpoints."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec import UNSET, UnsetType

from hooktide.client.publishing import raw_json
from hooktide.client.requests import Request, Steps, call, command, pages
from hooktide.client.transport import Area, X, listing, operation
from hooktide.wire.endpoints import (
    DisableQuery,
    Endpoint,
    EndpointChecked,
    EndpointCheckIn,
    EndpointCreated,
    EndpointIn,
    EndpointQuery,
    EndpointUpdate,
    FilterPreview,
    FilterPreviewIn,
    Rotated,
    Tested,
    TestIn,
    WaitingForEndpoint,
)
from hooktide.wire.events import Delivery
from hooktide.wire.fields import EndpointKind, PageQuery, PeriodQuery


class EndpointsArea(Area[X]):
    """Endpoints: the destinations of an account's events."""

    @operation
    def create(  # noqa: PLR0913  # one for each field of the endpoint
        self,
        url: str,
        event_types: Sequence[str],
        *,
        account: str | None = None,
        kind: EndpointKind | None = None,
        name: str = "",
        description: str = "",
        headers: Mapping[str, str] | None = None,
        filter: Any = UNSET,
        channels: Sequence[str] = (),
        reference: str = "",
        metadata: Mapping[str, str] | None = None,
        rate_limit: int | None = None,
        burst: int | None = None,
        retry_delays: Sequence[int] | None = None,
        timeout_seconds: float | None = None,
        secret: str | None = None,
        enabled: bool = True,
    ) -> Request[EndpointCreated]:
        """Create an endpoint; its secret is returned only this once.

        ``account`` is required, except with an account's key. ``kind`` is detected from the URL by
        default. ``filter``: a dict of conditions on the payload, or JSON text as ``bytes`` or
        ``RawJSON``; without one it gets all events of its types. ``channels``, 10 at most: it gets
        only events that share one. ``reference`` is an own id for it, unique in its account.
        ``secret`` is the receiver's existing secret when it moves from another sender; an account's
        key cannot set it. ``rate_limit``: requests a second, ``burst``: how many of them at once
        after a pause. ``retry_delays`` (in seconds) and ``timeout_seconds`` replace those of the
        plan. An endpoint that is not ``enabled`` is sent nothing until it is enabled.
        """
        body = EndpointIn(
            url=url,
            event_types=cast("list[str]", event_types),
            account=account,
            kind=kind,
            name=name,
            description=description,
            headers=dict(headers or {}),
            filter=raw_json(filter, "/filter"),
            channels=cast("list[str]", channels),
            reference=reference,
            metadata=dict(metadata or {}),
            rate_limit=rate_limit,
            burst=burst,
            retry_delays=cast("list[int] | None", retry_delays),
            timeout_seconds=timeout_seconds,
            secret=secret,
            enabled=enabled,
        )
        return call("POST", "/v1/endpoints", EndpointCreated, body=body)

    @operation
    def check(  # noqa: PLR0913  # one for each field of the endpoint and its account
        self,
        url: str,
        event_types: Sequence[str],
        *,
        account: str,
        project: str | None = None,
        plan: str | None = None,
        kind: EndpointKind | None = None,
        name: str = "",
        description: str = "",
        headers: Mapping[str, str] | None = None,
        filter: Any = UNSET,
        channels: Sequence[str] = (),
        reference: str = "",
        metadata: Mapping[str, str] | None = None,
        rate_limit: int | None = None,
        burst: int | None = None,
        retry_delays: Sequence[int] | None = None,
        timeout_seconds: float | None = None,
        secret: str | None = None,
    ) -> Request[EndpointChecked]:
        """Check whether an endpoint could be created; raises what ``create`` would.

        ``account`` may be the reference of a new account, which would be on ``plan``.
        ``project`` is required with an operator's key.
        """
        body = EndpointCheckIn(
            url=url,
            event_types=cast("list[str]", event_types),
            account=account,
            project=project,
            plan=plan,
            kind=kind,
            name=name,
            description=description,
            headers=dict(headers or {}),
            filter=raw_json(filter, "/filter"),
            channels=cast("list[str]", channels),
            reference=reference,
            metadata=dict(metadata or {}),
            rate_limit=rate_limit,
            burst=burst,
            retry_delays=cast("list[int] | None", retry_delays),
            timeout_seconds=timeout_seconds,
            secret=secret,
        )
        path = "/v1/endpoint-checks"
        return call("POST", path, EndpointChecked, body=body, repeatable=True)

    @listing
    def list(
        self,
        *,
        account: str | None = None,
        reference: str | None = None,
        metadata: str | None = None,
        limit: int | None = None,
    ) -> Steps[Endpoint]:
        """List the endpoints, newest first; ``metadata``: only those that have it, like
        ``tier:gold``."""
        query = EndpointQuery(account=account, reference=reference, metadata=metadata)
        return pages("/v1/endpoints", Endpoint, query, limit)

    @operation
    def get(self, id: str) -> Request[Endpoint]:
        """Get an endpoint."""
        return call("GET", "/v1/endpoints/{id}", Endpoint, id=id)

    @operation
    def update(  # noqa: PLR0913  # one for each field of the endpoint
        self,
        id: str,
        *,
        url: str | UnsetType = UNSET,
        event_types: Sequence[str] | UnsetType = UNSET,
        kind: EndpointKind | UnsetType = UNSET,
        name: str | UnsetType = UNSET,
        description: str | UnsetType = UNSET,
        headers: Mapping[str, str] | UnsetType = UNSET,
        filter: Any = UNSET,
        channels: Sequence[str] | UnsetType = UNSET,
        reference: str | UnsetType = UNSET,
        metadata: Mapping[str, str] | UnsetType = UNSET,
        rate_limit: int | UnsetType | None = UNSET,
        burst: int | UnsetType | None = UNSET,
        retry_delays: Sequence[int] | UnsetType | None = UNSET,
        timeout_seconds: float | UnsetType | None = UNSET,
    ) -> Request[Endpoint]:
        """Update the given fields of an endpoint.

        ``headers``, ``channels`` and ``metadata`` are replaced as a whole.

        ``filter`` is as in ``create``; None removes it, and likewise the ``rate_limit``,
        ``retry_delays`` and ``timeout_seconds``.
        """
        body = EndpointUpdate(
            url=url,
            event_types=cast("list[str] | UnsetType", event_types),
            kind=kind,
            name=name,
            description=description,
            headers=cast("dict[str, str] | UnsetType", headers),
            filter=raw_json(filter, "/filter"),
            channels=cast("list[str] | UnsetType", channels),
            reference=reference,
            metadata=cast("dict[str, str] | UnsetType", metadata),
            rate_limit=rate_limit,
            burst=burst,
            retry_delays=cast("list[int] | UnsetType | None", retry_delays),
            timeout_seconds=timeout_seconds,
        )
        return call("PATCH", "/v1/endpoints/{id}", Endpoint, body=body, id=id)

    @operation
    def waiting(self, id: str) -> Request[WaitingForEndpoint]:
        """Get how much waits for an endpoint, and what holds it back."""
        return call("GET", "/v1/endpoints/{id}/waiting", WaitingForEndpoint, id=id)

    @operation
    def delete(self, id: str) -> Request[None]:
        """Delete an endpoint; its pending deliveries are discarded."""
        return command("DELETE", "/v1/endpoints/{id}", id=id)

    @operation
    def enable(self, id: str) -> Request[Endpoint]:
        """Enable an endpoint."""
        return call("POST", "/v1/endpoints/{id}/enable", Endpoint, repeatable=True, id=id)

    @operation
    def resume(self, id: str) -> Request[Endpoint]:
        """End an endpoint's rest early; the deliveries that it delayed are sent."""
        return call("POST", "/v1/endpoints/{id}/resume", Endpoint, repeatable=True, id=id)

    @operation
    def disable(self, id: str, *, account_may_enable: bool = False) -> Request[Endpoint]:
        """Disable an endpoint; its pending deliveries are discarded.

        ``account_may_enable``: with an operator's or a project's key, the account may enable it
        again, as if it had disabled it itself.
        """
        query = DisableQuery(account_may_enable=account_may_enable)
        path = "/v1/endpoints/{id}/disable"
        return call("POST", path, Endpoint, query=query, repeatable=True, id=id)

    @operation
    def rotate(self, id: str) -> Request[Rotated]:
        """Rotate an endpoint's secret; the new one is returned only this once."""
        return call("POST", "/v1/endpoints/{id}/rotate", Rotated, id=id)

    @operation
    def test(self, id: str, *, event_type: str | None = None) -> Request[Tested]:
        """Send a test event immediately, also to a disabled endpoint, and return the response."""
        body = TestIn(event_type=event_type)
        return call("POST", "/v1/endpoints/{id}/test", Tested, body=body, id=id)

    @operation
    def preview_filter(
        self,
        filter: Any = UNSET,
        *,
        channels: Sequence[str] = (),
        account: str | None = None,
        event_types: Sequence[str] = ("*",),
    ) -> Request[FilterPreview]:
        """Try a filter, channels or both with an account's newest events, 100 at most.

        ``account`` is required, except with an account's key.
        """
        body = FilterPreviewIn(
            filter=raw_json(filter, "/filter"),
            channels=cast("list[str]", channels),
            account=account,
            event_types=cast("list[str]", event_types),
        )
        return call("POST", "/v1/filter-previews", FilterPreview, body=body, repeatable=True)

    @listing
    def deliveries(self, id: str, *, limit: int | None = None) -> Steps[Delivery]:
        """List the deliveries to an endpoint, newest first."""
        return pages("/v1/endpoints/{id}/deliveries", Delivery, PeriodQuery(), limit, id=id)


class WebhooksArea(Area[X]):
    """The customers' API, for an account's key: endpoints in the project's own field names.

    Each project may rename the fields, so webhooks are dictionaries.
    """

    @operation
    def create(self, fields: Mapping[str, Any]) -> Request[dict[str, Any]]:
        """Create a webhook; the secret is returned only this once."""
        return call("POST", "/webhooks", dict[str, Any], body=fields)

    @listing
    def list(self, *, limit: int | None = None) -> Steps[dict[str, Any]]:
        """List the webhooks, newest first."""
        return pages("/webhooks", dict[str, Any], PageQuery(), limit)

    @operation
    def get(self, id: str) -> Request[dict[str, Any]]:
        """Get a webhook."""
        return call("GET", "/webhooks/{id}", dict[str, Any], id=id)

    @operation
    def update(self, id: str, fields: Mapping[str, Any]) -> Request[dict[str, Any]]:
        """Update a webhook; absent fields stay the same."""
        return call("PATCH", "/webhooks/{id}", dict[str, Any], body=fields, id=id)

    @operation
    def delete(self, id: str) -> Request[None]:
        """Delete a webhook; its pending deliveries are discarded."""
        return command("DELETE", "/webhooks/{id}", id=id)
