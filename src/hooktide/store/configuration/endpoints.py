"""Endpoints: their addresses, their secrets, whether they are enabled, and their rests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hooktide.domain.audit_log import SERVER, Action, disabled_snapshots, snapshot
from hooktide.domain.delivery.rest import Rest, lifted
from hooktide.domain.model import BY_PROVIDER, Endpoint, Micros, Scope, Secret
from hooktide.domain.operational_events import disabled, rotated
from hooktide.domain.project.project import check_named
from hooktide.runtime.clock import MIN_STEP
from hooktide.runtime.vault import Vault
from hooktide.store import refusals, rows
from hooktide.store.base import EndpointEdit, Page
from hooktide.store.configuration.accounts import read_account
from hooktide.store.configuration.projects import hold_project
from hooktide.store.journal.audit_log import record_action, record_change
from hooktide.store.journal.operational_events import add_operational_events
from hooktide.store.rows import Row
from hooktide.store.sql.lists import LIVE, conditions, containing, having, in_scope, newest
from hooktide.store.sql.repository import Repository, maintains, reads, surveys, writes
from hooktide.store.sql.transaction import Transaction, UniqueError, Values
from hooktide.store.writing.failures import SwitchOff

_SAYS = r"(lower(url) LIKE :text ESCAPE '\' OR lower(name) LIKE :text ESCAPE '\')"


class Endpoints(Repository):
    """The store's methods for endpoints and their secrets."""

    @writes
    async def create_endpoint(
        self,
        tx: Transaction,
        endpoint: Endpoint,
        secret: Secret,
        limit: int | None,
        now: Micros,
        action: Action | None = None,
    ) -> Endpoint:
        """Add an endpoint (its id, secrets and times are made here).

        :raises LimitError: the account has ``limit`` endpoints already.
        :raises RefusedError: another of its endpoints has this reference.
        """
        await tx.writer.lock_account(tx, endpoint.account_id)
        account = await read_account(tx, Scope(), endpoint.account_id)
        count = await tx.value("count_endpoints", {"account_id": account.id})
        refusals.check_endpoints(count, limit)
        project = (await hold_project(tx, account.project_id)).project
        check_named(project, endpoint.event_types)
        id_ = tx.ids(now)
        values = {
            "id": id_,
            "project_id": account.project_id,
            "account_id": account.id,
            "now": now,
            "disabled_reason": endpoint.disabled_reason,
            "disabled_at": endpoint.disabled_at,
            **rows.endpoint_values(
                replace(endpoint, id=id_, filtered_at=now, channels_at=now), self._vault
            ),
        }
        await _keep(tx, "create_endpoint", values)
        await _create_secret(tx, id_, secret, now, self._vault)
        tx.effects.changed.append(("endpoint", id_))
        made = await read_endpoint(tx, Scope(), id_, self._vault)
        await record_change(tx, action, None, snapshot(made), now)
        return made

    @reads
    async def get_endpoint(self, tx: Transaction, scope: Scope, endpoint_id: int) -> Endpoint:
        """Find an endpoint, with its active secrets."""
        return await read_endpoint(tx, scope, endpoint_id, self._vault)

    @reads
    async def list_endpoints(
        self,
        tx: Transaction,
        scope: Scope,
        before: int | None,
        limit: int,
        text: str = "",
        *,
        reference: str | None = None,
        metadata: tuple[str, str] | None = None,
    ) -> Page:
        """Return endpoints, newest first.

        ``text``: those that have it in their name or URL. ``metadata``: those with this name and
        value in it.
        """
        wanted = [
            ("id < :before", "before", before),
            (_SAYS, "text", containing(text) if text else None),
            ("reference = :reference", "reference", reference),
            *having(tx, metadata),
            *in_scope(scope),
            LIVE,
        ]
        return await newest(
            tx,
            "endpoints",
            wanted,
            limit,
            lambda row: rows.endpoint(row, (), self._vault),
            {"metadata_value": metadata and metadata[1]},
        )

    @reads
    async def endpoints_at(self, tx: Transaction, url: str) -> Sequence[Endpoint]:
        """Return the endpoints with exactly this URL (a bin's), with their secrets."""
        found = await tx.rows("endpoints", {"url": url}, " WHERE url = :url AND removed_at IS NULL")
        return [await _join_secrets(tx, row, self._vault) for row in found]

    @writes
    async def update_endpoint(
        self,
        tx: Transaction,
        scope: Scope,
        endpoint_id: int,
        edit: EndpointEdit,
        now: Micros,
        action: Action | None = None,
    ) -> Endpoint:
        """Change the fields that ``edit`` returns for the current endpoint.

        What ``edit`` raises is raised here, and nothing is changed. A new URL ends the endpoint's
        rest.

        :raises RefusedError: another endpoint of the account has this reference.
        """
        old = await _hold(tx, scope, endpoint_id, self._vault)
        new = replace(old, **edit(old))
        if new.filter != old.filter:
            new = replace(new, filtered_at=now)
        if set(new.channels) != set(old.channels):
            new = replace(new, channels_at=now)
        if added := set(new.event_types) - set(old.event_types):
            account = await read_account(tx, Scope(), old.account_id)
            check_named((await hold_project(tx, account.project_id)).project, added)
        values = rows.endpoint_values(new, self._vault)
        await _keep(tx, "update_endpoint", {"id": endpoint_id, "now": now, **values})
        if new.address != old.address:
            await set_rest(tx, old.id, lifted(now))
        return await _changed(tx, old, now, action, self._vault)

    @writes
    async def delete_endpoint(
        self,
        tx: Transaction,
        scope: Scope,
        endpoint_id: int,
        now: Micros,
        action: Action | None = None,
    ) -> None:
        """Delete an endpoint; its pending deliveries are discarded."""
        old = await _hold(tx, scope, endpoint_id, self._vault)
        await delete_endpoint(tx, old.id, old.account_id, now, self._vault)
        await record_change(tx, action, snapshot(old), None, now)

    @writes
    async def disable_endpoint(
        self,
        tx: Transaction,
        scope: Scope,
        endpoint_id: int,
        reason: str,
        now: Micros,
        action: Action | None = None,
    ) -> Endpoint:
        """Disable an endpoint; its pending deliveries are discarded, with the reason."""
        old = await _hold(tx, scope, endpoint_id, self._vault)
        await disable_endpoint(tx, old.id, old.account_id, reason, now)
        new = await read_endpoint(tx, Scope(), old.id, self._vault)
        await record_change(tx, action, snapshot(old), snapshot(new), now)
        return new

    @writes
    async def enable_endpoint(
        self,
        tx: Transaction,
        scope: Scope,
        endpoint_id: int,
        now: Micros,
        action: Action | None = None,
    ) -> Endpoint:
        """Enable an endpoint, reset its count of failures and lift its rest."""
        old = await _hold(tx, scope, endpoint_id, self._vault)
        refusals.check_enable(old, scope)
        if await tx.run("enable_endpoint", {"id": old.id, "now": now}):
            tx.writer.enabled(old.id)
        await set_rest(tx, old.id, lifted(now))
        return await _changed(tx, old, now, action, self._vault)

    @writes
    async def resume_endpoint(
        self,
        tx: Transaction,
        scope: Scope,
        endpoint_id: int,
        now: Micros,
        action: Action | None = None,
    ) -> Endpoint:
        """Lift an endpoint's rest, if any: deliveries that it delayed are due by their own
        schedule."""
        old = await _hold(tx, scope, endpoint_id, self._vault)
        await set_rest(tx, old.id, lifted(now))
        if old.resting_until(now) is not None:
            await record_action(tx, action, snapshot(old), now)
        return await _changed(tx, old, now, None, self._vault)

    @writes
    async def rotate_secret(
        self,
        tx: Transaction,
        scope: Scope,
        endpoint_id: int,
        secret: Secret,
        overlap: Micros,
        now: Micros,
        action: Action | None = None,
    ) -> Endpoint:
        """Sign with ``secret``; the old one remains valid for ``overlap``."""
        old = await _hold(tx, scope, endpoint_id, self._vault)
        refusals.check_secrets(old)
        if overlap:
            retired = {"endpoint_id": old.id, "retires_at": now + overlap}
            await tx.run("retire_current", retired)
        else:
            await tx.run("forget_secrets", {"endpoint_id": old.id})
        newest_at = max((known.created_at for known in old.secrets), default=0)
        await _create_secret(tx, old.id, secret, max(now, newest_at + 1), self._vault)
        await add_operational_events(tx, [rotated(old.account_id, old.id, now + overlap, now)])
        return await _changed(tx, old, now, action, self._vault)

    @writes
    async def retire_secrets(self, tx: Transaction, now: Micros) -> int:
        """Delete secrets whose overlap is over; return how many."""
        retired = await tx.rows("forget_retired", {"now": now})
        tx.effects.changed.extend(("endpoint", id_) for (id_,) in retired)
        return len(retired)

    @surveys
    async def resting(
        self, tx: Transaction, now: Micros, endpoint_ids: Sequence[int] | None = None
    ) -> Mapping[int, Micros]:
        """Return when the rests of endpoints end: of those with these ids, or of all."""
        if endpoint_ids is None:
            return dict(await tx.rows("resting", {"now": now}))
        return dict(await tx.rows("resting_of", {"now": now, "ids": list(endpoint_ids)}))

    @maintains
    async def redate_rests(
        self, tx: Transaction, now: Micros, slack: Micros, set_back_from: Micros = 0
    ) -> int:
        """Restart rests that began more than ``slack`` after ``now``; return how many.

        If the clock was set back, according to the caller (``set_back_from``) or the database, that
        is recorded for the audit.
        """
        seen_at, _, newest_at = await tx.one("clock mark", "clock_mark")
        latest = max(seen_at, newest_at, set_back_from)
        if latest - now >= MIN_STEP:
            await tx.run("note_clock_set_back", {"instant": latest})
        moved = await tx.rows("redate_rests", {"now": now, "latest": now + slack})
        for endpoint_id, *rest in moved:
            tx.writer.rest_changed(endpoint_id, Rest(*rest))
            tx.effects.changed.append(("rest", endpoint_id))
        return len(moved)


async def read_endpoint(tx: Transaction, scope: Scope, endpoint_id: int, vault: Vault) -> Endpoint:
    """Find an endpoint, with its active secrets.

    :raises NotFoundError: it is not in the scope, or was deleted.
    """
    where, values = conditions([("id = :id", "id", endpoint_id), *in_scope(scope), LIVE])
    return await _join_secrets(tx, await tx.one("endpoint", "endpoints", values, where), vault)


async def _keep(tx: Transaction, name: str, values: Values) -> None:
    try:
        await tx.run(name, values)
    except UniqueError:
        raise refusals.endpoint_reference_taken() from None


async def _create_secret(
    tx: Transaction, endpoint_id: int, secret: Secret, now: Micros, vault: Vault
) -> None:
    sealed = rows.seal_secret(endpoint_id, secret, now, vault)
    await tx.run("create_secret", {"endpoint_id": endpoint_id, "created_at": now, "sealed": sealed})


async def _hold(tx: Transaction, scope: Scope, endpoint_id: int, vault: Vault) -> Endpoint:
    """Find an endpoint, and lock it against changes and fan-out until the commit."""
    found = await read_endpoint(tx, scope, endpoint_id, vault)
    await tx.writer.lock_account(tx, found.account_id)
    return await read_endpoint(tx, scope, endpoint_id, vault)


async def _changed(
    tx: Transaction, old: Endpoint, now: Micros, action: Action | None, vault: Vault
) -> Endpoint:
    tx.effects.changed.append(("endpoint", old.id))
    new = await read_endpoint(tx, Scope(), old.id, vault)
    await record_change(tx, action, snapshot(old), snapshot(new), now)
    return new


async def hold_enabled(tx: Transaction, scope: Scope, endpoint_id: int, vault: Vault) -> Endpoint:
    """Find an enabled endpoint, and lock it until the commit.

    :raises NotFoundError: it is not in the scope, or was deleted.
    :raises RefusedError: it is disabled.
    """
    endpoint = await _hold_if_enabled(tx, scope, endpoint_id, vault)
    refusals.check_enabled(endpoint)
    return endpoint


async def hold_for_test(tx: Transaction, scope: Scope, endpoint_id: int, vault: Vault) -> Endpoint:
    """Find an endpoint, enabled or not, and lock it until the commit.

    :raises NotFoundError: it is not in the scope, or was deleted.
    :raises RefusedError: the provider disabled it, and the scope is an account's.
    """
    endpoint = await _hold_if_enabled(tx, scope, endpoint_id, vault)
    if not endpoint.enabled:
        endpoint = await _hold(tx, scope, endpoint_id, vault)
        refusals.check_enable(endpoint, scope)
    return endpoint


async def _hold_if_enabled(
    tx: Transaction, scope: Scope, endpoint_id: int, vault: Vault
) -> Endpoint:
    endpoint = await read_endpoint(tx, scope, endpoint_id, vault)
    held = await tx.rows("lock_enabled_endpoints", {"endpoints": [endpoint_id]})
    if not held:
        return await read_endpoint(tx, scope, endpoint_id, vault)
    for _, stale_before, _ in held:
        tx.ids.pass_by(stale_before)
    return endpoint


async def mark_stale(tx: Transaction, endpoint: Endpoint, now: Micros) -> None:
    """Have everything made so far for a disabled endpoint discarded, unless it is in flight."""
    before, reason = tx.ids(now), _disabled(endpoint.disabled_reason)
    values = {"id": endpoint.id, "stale_before": before, "stale_reason": reason}
    await tx.run("mark_stale", values)
    tx.writer.went_stale(endpoint.id, endpoint.account_id, before, reason)


async def _join_secrets(tx: Transaction, row: Row, vault: Vault) -> Endpoint:
    found = await tx.rows("secrets_of", {"endpoint_id": row[0]})
    secrets = tuple(rows.active_secret(row[0], secret, vault) for secret in found)
    return rows.endpoint(row, secrets, vault)


async def set_rest(tx: Transaction, endpoint_id: int, rest: Rest) -> None:
    """Store an endpoint's rest, and notify all processes."""
    await tx.run("set_rest", rows.rest_values(endpoint_id, rest))
    tx.writer.rest_changed(endpoint_id, rest)
    tx.effects.changed.append(("rest", endpoint_id))


async def disable_endpoint(
    tx: Transaction, endpoint_id: int, account_id: int, reason: str, now: Micros
) -> bool:
    """Disable an endpoint, and mark its pending deliveries as stale; False if it was disabled."""
    await tx.writer.lock_account(tx, account_id)
    before, stale_reason = tx.ids(now), _disabled(reason)
    values = {
        "id": endpoint_id,
        "reason": reason,
        "overrides": reason == BY_PROVIDER,
        "now": now,
        "stale_before": before,
        "stale_reason": stale_reason,
    }
    if not await tx.run("disable_endpoint", values):
        return False
    await _is_off(tx, endpoint_id, account_id, before, stale_reason, now)
    await add_operational_events(tx, [disabled(account_id, endpoint_id, reason, now)])
    return True


def _disabled(reason: str) -> str:
    return f"endpoint disabled: {reason}"


async def disable_by_rule(tx: Transaction, off: SwitchOff, project_id: int | None) -> None:
    """Disable an endpoint because of its failures, and record it in the audit log.

    ``project_id`` is None if the account was deleted meanwhile.
    """
    claim, now = off.record.claim, off.record.attempt.ended_at
    account_id, endpoint_id = claim.event.account_id, claim.endpoint_id
    if await disable_endpoint(tx, endpoint_id, account_id, off.reason, now):
        before, after = disabled_snapshots(project_id, account_id, endpoint_id, off.reason)
        await record_change(tx, SERVER.does("endpoint.disable"), before, after, now)


async def delete_endpoint(
    tx: Transaction, endpoint_id: int, account_id: int, now: Micros, vault: Vault
) -> None:
    """Delete an endpoint, whose account is locked (``BatchWriter.lock_account``)."""
    before = tx.ids(now)
    values = {
        "id": endpoint_id,
        "now": now,
        "stale_before": before,
        "no_headers": rows.seal_headers(endpoint_id, (), vault),
    }
    await tx.run("delete_endpoint", values)
    await tx.run("forget_secrets", {"endpoint_id": endpoint_id})
    await _is_off(tx, endpoint_id, account_id, before, "endpoint deleted", now)


async def _is_off(
    tx: Transaction, endpoint_id: int, account_id: int, before: int, reason: str, now: Micros
) -> None:
    values = {"endpoint_id": endpoint_id, "reason": reason, "now": now}
    await tx.run("cancel_replays", values)
    tx.writer.went_stale(endpoint_id, account_id, before, reason)
    tx.effects.changed.append(("endpoint", endpoint_id))
