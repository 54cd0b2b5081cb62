"""API keys: created, listed, revoked. A key's text exists only in the response that shows it."""

import hashlib
import secrets
from collections.abc import Callable

from hooktide.actions.accounts import Accounts
from hooktide.actions.texts import check_text
from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.domain.model import ApiKey, KeyScope, Micros, Scope
from hooktide.store.contract import Store
from hooktide.store.directory import Directory

PREFIX = "htk_"


def new_key(
    scope: KeyScope,
    name: str,
    now: Micros,
    *,
    project_id: int | None = None,
    account_id: int | None = None,
    text: str = "",
) -> tuple[str, ApiKey, bytes]:
    """Create a key; return its text (shown once; ``text`` if given), the stored key and its
    SHA-256."""
    text = text or PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        id=0,
        scope=scope,
        project_id=project_id,
        account_id=account_id,
        name=name,
        last4=text[-4:],
        created_at=now,
    )
    return text, key, hashlib.sha256(text.encode()).digest()


class Keys:
    """Creates, lists and revokes API keys."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        accounts: Accounts,
        clock: Callable[[], Micros],
    ) -> None:
        self._store = store
        self._directory = directory
        self._accounts = accounts
        self._clock = clock

    async def create(
        self,
        actor: Actor,
        scope: Scope,
        kind: KeyScope,
        name: str,
        project: str | None = None,
        account: str | None = None,
    ) -> tuple[str, ApiKey]:
        """Create a key whose scope is at most its creator's; return its text and the stored key.

        ``project`` is a name, ``account`` an id or a reference.

        :raises InvalidError: the scope does not match the project or account given, or the name is
        empty.
        :raises NotFoundError: there is no such project or account.
        :raises RefusedError: only an operator may create an operator's key.
        """
        if not name:
            raise InvalidError("invalid_text", "say what the key is for", pointer="/name")
        reach = await self._reach(scope, kind, project, account)
        text, key, digest = new_key(
            kind,
            check_text(name, "/name", 100),
            self._clock(),
            project_id=reach.project_id,
            account_id=reach.account_id,
        )
        return text, await self._store.create_key(key, digest, actor.does("key.create"))

    async def revoke(
        self, actor: Actor, scope: Scope, key_id: int, *, force: bool = False
    ) -> ApiKey:
        """Revoke a key, immediately and permanently.

        :raises NotFoundError: there is no such key in the scope.
        :raises RefusedError: it is the last operator's key, and this is not forced.
        """
        return await self._store.revoke_key(
            scope, key_id, self._clock(), actor.does("key.revoke"), force=force
        )

    async def _reach(
        self, scope: Scope, kind: KeyScope, project: str | None, account: str | None
    ) -> Scope:
        if kind is KeyScope.ACCOUNT:
            return await self._reach_account(scope, project, account)
        if account is not None:
            raise _unfit("/account", f"a key of scope {kind.value} must not name an account")
        if kind is KeyScope.PROJECT:
            row = await self._accounts.project(scope, project)
            return Scope(project_id=row.id)
        if project is not None:
            raise _unfit("/project", "a key of scope operator must not name a project")
        if scope.project_id is not None:
            raise RefusedError(
                "forbidden", "only an operator's key can create an operator's key", status=403
            )
        return Scope()

    async def _reach_account(self, scope: Scope, project: str | None, account: str | None) -> Scope:
        if account is None:
            raise _unfit("/account", "name the account that the key is for")
        if project is not None:
            row = await self._store.get_project(scope, project)
            scope = Scope(project_id=row.id)
        found = await self._accounts.find(scope, account)
        return Scope(project_id=found.project_id, account_id=found.id)


def _unfit(pointer: str, detail: str) -> InvalidError:
    return InvalidError("invalid_key_scope", detail, pointer=pointer)
