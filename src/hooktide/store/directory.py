"""A cache of what changes rarely: projects, accounts, endpoints.

The store reports changes right after each commit, and the next lookup reads again: exact within one
process; another process's change is known a moment after its commit.
"""

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Account, Endpoint, Scope
from hooktide.runtime.cache import Cache
from hooktide.store.base import ProjectRow
from hooktide.store.contract import Store

MAX_CACHED_PROJECTS = 10_000
MAX_CACHED_ACCOUNTS = 50_000
MAX_CACHED_ENDPOINTS = 50_000


class Directory:
    """Answers from memory if possible, otherwise from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._projects: Cache[int, ProjectRow] = Cache(MAX_CACHED_PROJECTS)
        self._named: Cache[str, ProjectRow] = Cache(MAX_CACHED_PROJECTS, lambda row: row.id)
        self._accounts: Cache[int, Account] = Cache(MAX_CACHED_ACCOUNTS)
        self._references: Cache[tuple[int, str], Account] = Cache(
            MAX_CACHED_ACCOUNTS, lambda account: account.id
        )
        # A new account may make a reference ambiguous, so each change drops them all.
        self._anywhere: Cache[str, Account] = Cache(MAX_CACHED_ACCOUNTS)
        self._endpoints: Cache[int, Endpoint] = Cache(MAX_CACHED_ENDPOINTS)

    def changed(self, kind: str, number: int) -> None:
        """Drop what a commit changed."""
        if kind in {"everything", "project", "account"}:
            self._anywhere.clear()
        if kind == "everything":
            for known in (self._projects, self._named, self._accounts, self._references):
                known.clear()
            self._endpoints.clear()
        elif kind == "project":
            self._projects.drop(number)
            self._named.drop_group(number)
        elif kind == "account":
            self._accounts.drop(number)
            self._references.drop_group(number)
        elif kind == "endpoint":
            self._endpoints.drop(number)

    def known_project(self, project_id: int) -> ProjectRow | None:
        """Return a project by id, if it is in memory."""
        return self._projects.get(project_id)

    def known_account(self, account_id: int) -> Account | None:
        """Return an account by id, if it is in memory."""
        return self._accounts.get(account_id)

    def known_account_by_reference(self, scope: Scope, reference: str) -> Account | None:
        """Return an account of a scope by the product's own id for it, if it is in memory."""
        if scope.project_id is None:
            return self._anywhere.get(reference)
        return self._references.get((scope.project_id, reference))

    async def project(self, project_id: int) -> ProjectRow:
        """Find a project by id.

        :raises NotFoundError: it does not exist.
        """
        return await self._projects.find(
            project_id, lambda: self._store.get_project_by_id(project_id)
        )

    async def project_by_name(self, scope: Scope, name: str) -> ProjectRow:
        """Find a project of a scope by name.

        :raises NotFoundError: the scope has none of this name.
        """
        found = await self._named.find(name, lambda: self._store.get_project(Scope(), name))
        if scope.project_id not in (None, found.id):
            raise NotFoundError("project")
        return found

    async def account(self, account_id: int) -> Account:
        """Find an account by id.

        :raises NotFoundError: it does not exist.
        """
        found = self._accounts.get(account_id)
        if found is None:
            seen = self._accounts.changes
            found = await self._store.get_account(Scope(), account_id)
            self._keep_account(found, seen)
        return found

    async def account_by_reference(self, scope: Scope, reference: str) -> Account:
        """Find an account of a scope by the product's own id for it.

        :raises NotFoundError: it does not exist.
        :raises RefusedError: several projects of the scope have one (``ambiguous_account``).
        """
        if scope.project_id is None:
            return await self._anywhere.find(
                reference, lambda: self._store.find_account(scope, reference)
            )
        found = self._references.get((scope.project_id, reference))
        if found is None:
            seen = self._accounts.changes
            found = await self._store.find_account(scope, reference)
            self._keep_account(found, seen)
        return found

    def _keep_account(self, found: Account, seen: int) -> None:
        # Both are invalidated by the same changes, so one counter serves both.
        self._accounts.keep(found.id, found, seen)
        self._references.keep((found.project_id, found.reference), found, seen)

    async def endpoint(self, endpoint_id: int) -> Endpoint:
        """Find an endpoint, with its active secrets.

        :raises NotFoundError: it does not exist, or was deleted.
        """
        return await self._endpoints.find(
            endpoint_id, lambda: self._store.get_endpoint(Scope(), endpoint_id)
        )
