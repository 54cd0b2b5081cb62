"""Events, their deliveries, and replays."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hooktide.client import publishing
from hooktide.client.errors import UnexpectedAnswerError
from hooktide.client.publishing import NewEvent, Published
from hooktide.client.requests import Request, Steps, call, instant, pages
from hooktide.client.transport import Area, X, listing, operation
from hooktide.wire.endpoints import NotMatched, NotMatchedList
from hooktide.wire.events import (
    Attempt,
    Attempts,
    Count,
    Delivery,
    DeliveryCount,
    DeliveryFilter,
    DeliveryJob,
    DeliveryJobIn,
    DeliveryJobStarted,
    DeliveryQuery,
    Event,
    EventAccepted,
    EventItem,
    EventQuery,
    Replay,
    ReplayIn,
    ReplayStarted,
    ResendQuery,
)
from hooktide.wire.fields import DeliveryState, JobAct, PageQuery, ReplayWhat


class EventsArea(Area[X]):
    """Events, and publishing them."""

    @operation
    def publish(self, event: NewEvent) -> Request[EventAccepted]:
        """Publish an event; it is durable when this returns.

        Repeating the call with the same ``NewEvent`` creates no second event.
        """
        return publishing.publish(event)

    @listing
    def publish_many(self, events: Iterable[NewEvent]) -> Steps[Published]:
        """Publish events, up to 1,000 at once, and yield the result of each, in order.

        Events that the server could not accept for now are retried a few times. If a call fails as
        a whole, this raises: events yielded as accepted are durable, and the rest may be published
        again.
        """
        return publishing.publish_many(events)

    @listing
    def list(
        self,
        *,
        account: str | None = None,
        type: str | None = None,
        search: str | None = None,
        tag: str | None = None,
        channel: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Steps[EventItem]:
        """List the events, newest first, without their payloads.

        Only events accepted from ``since`` on and before ``until``; ``search``: only those with an
        indexed value that begins with it, or has a word that does.
        """
        query = EventQuery(
            account=account,
            type=type,
            search=search,
            tag=tag,
            channel=channel,
            since=instant(since),
            until=instant(until),
        )
        return pages("/v1/events", EventItem, query, limit)

    @operation
    def get(self, id: str) -> Request[Event]:
        """Get an event with its payload."""
        return call("GET", "/v1/events/{id}", Event, id=id)

    @operation
    def erase_payload(self, id: str) -> Request[Event]:
        """Erase an event's payload and the bodies of its attempts; it cannot be sent again."""
        return call("DELETE", "/v1/events/{id}/payload", Event, id=id)

    @operation
    def not_matched(self, id: str) -> Request[Sequence[NotMatched]]:
        """List the endpoints that it was not sent to because of their channels or filter.

        By the channels and filters that they have now.
        """
        path = "/v1/events/{id}/not-matched"
        return call("GET", path, NotMatchedList, id=id).then(lambda found: found.items)


class DeliveriesArea(Area[X]):
    """Deliveries: one for each event and endpoint."""

    @listing
    def list(
        self,
        *,
        account: str | None = None,
        endpoint: str | None = None,
        event: str | None = None,
        state: DeliveryState | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Steps[Delivery]:
        """List the deliveries, newest first: created from ``since`` on and before ``until``."""
        query = DeliveryQuery(
            account=account,
            endpoint=endpoint,
            event=event,
            state=state,
            since=instant(since),
            until=instant(until),
        )
        return pages("/v1/deliveries", Delivery, query, limit)

    @operation
    def get(self, id: str) -> Request[Delivery]:
        """Get a delivery."""
        return call("GET", "/v1/deliveries/{id}", Delivery, id=id)

    @operation
    def attempts(self, id: str) -> Request[Sequence[Attempt]]:
        """List the attempts of a delivery, first to last."""
        path = "/v1/deliveries/{id}/attempts"
        return call("GET", path, Attempts, id=id).then(lambda found: found.items)

    @operation
    def resend(self, id: str, *, enable: bool = False) -> Request[Delivery]:
        """Send the same event to the same endpoint again, as a new delivery.

        ``enable``: an endpoint that is disabled is enabled first.
        """
        query = ResendQuery(enable=enable)
        return call("POST", "/v1/deliveries/{id}/resend", Delivery, query=query, id=id)

    @operation
    def retry(self, id: str) -> Request[Delivery]:
        """Make the next attempt of a pending delivery at once."""
        return call("POST", "/v1/deliveries/{id}/retry", Delivery, id=id)

    @operation
    def stop(self, id: str) -> Request[Delivery]:
        """Stop a pending or held delivery: it is discarded, and counts as no failure."""
        return call("POST", "/v1/deliveries/{id}/stop", Delivery, repeatable=True, id=id)


class ReplaysArea(Area[X]):
    """Replays: jobs that send old events to an endpoint again."""

    @operation
    def count(
        self,
        endpoint: str,
        what: ReplayWhat,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        event: str | None = None,
    ) -> Request[Count]:
        """Count the events that a replay would send; see ``start``."""
        body = ReplayIn(
            what=what, since=instant(since), until=instant(until), event=event, dry_run=True
        )
        path = "/v1/endpoints/{id}/replays"
        asked = call("POST", path, ReplayStarted, body=body, repeatable=True, id=endpoint)
        return asked.then(lambda started: started.count)

    @operation
    def start(
        self,
        endpoint: str,
        what: ReplayWhat,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        event: str | None = None,
    ) -> Request[Replay]:
        """Start a replay: of the events that failed or were missed since, or of one event.

        It runs on the server; ``get`` returns its progress.
        """
        body = ReplayIn(what=what, since=instant(since), until=instant(until), event=event)
        path = "/v1/endpoints/{id}/replays"
        return call("POST", path, ReplayStarted, body=body, id=endpoint).then(_started)

    @listing
    def list(self, endpoint: str, *, limit: int | None = None) -> Steps[Replay]:
        """List the replays of an endpoint, newest first."""
        return pages("/v1/endpoints/{id}/replays", Replay, PageQuery(), limit, id=endpoint)

    @operation
    def get(self, id: str) -> Request[Replay]:
        """Get a replay and its progress."""
        return call("GET", "/v1/replays/{id}", Replay, id=id)

    @operation
    def cancel(self, id: str) -> Request[Replay]:
        """Cancel a replay; the deliveries that it created stay."""
        return call("POST", "/v1/replays/{id}/cancel", Replay, repeatable=True, id=id)


def _started(found: ReplayStarted) -> Replay:
    if found.replay is None:
        raise UnexpectedAnswerError("the server only counted events instead of starting the replay")
    return found.replay


class DeliveryJobsArea(Area[X]):
    """Jobs that do one thing with every delivery that matches a filter."""

    @operation
    def count(self, act: JobAct, filter: DeliveryFilter) -> Request[DeliveryCount]:
        """Count the deliveries that a job would act on; see ``start``."""
        body = DeliveryJobIn(act=act, filter=filter, dry_run=True)
        asked = call("POST", "/v1/delivery-jobs", DeliveryJobStarted, body=body, repeatable=True)
        return asked.then(lambda started: started.count)

    @operation
    def start(self, act: JobAct, filter: DeliveryFilter) -> Request[DeliveryJob]:
        """Send again, retry or stop all deliveries that match a filter.

        It runs on the server; ``get`` returns its progress.
        """
        body = DeliveryJobIn(act=act, filter=filter)
        return call("POST", "/v1/delivery-jobs", DeliveryJobStarted, body=body).then(_job_started)

    @listing
    def list(self, *, limit: int | None = None) -> Steps[DeliveryJob]:
        """List the jobs, newest first."""
        return pages("/v1/delivery-jobs", DeliveryJob, PageQuery(), limit)

    @operation
    def get(self, id: str) -> Request[DeliveryJob]:
        """Get a job and its progress."""
        return call("GET", "/v1/delivery-jobs/{id}", DeliveryJob, id=id)

    @operation
    def cancel(self, id: str) -> Request[DeliveryJob]:
        """Cancel a job; what it has done stays."""
        return call("POST", "/v1/delivery-jobs/{id}/cancel", DeliveryJob, repeatable=True, id=id)


def _job_started(found: DeliveryJobStarted) -> DeliveryJob:
    if found.job is None:
        raise UnexpectedAnswerError("the server only counted instead of starting the job")
    return found.job
