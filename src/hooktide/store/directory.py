"""What changes rarely, kept in memory: projects, accounts, endpoints.

The store says what changed right after each commit, and the next question reads it again: exact in
one process; another process's change is known here a moment after its commit.
"""

from hooktide.domain.model import Account, Endpoint, Scope
from hooktide.store.base import ProjectRow, Store

MOST_KEPT = 50_000


class Directory:
    """Answers from memory where it can, from the store where it must."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._projects: dict[int, ProjectRow] = {}
        self._accounts: dict[int, Account] = {}
        self._references: dict[tuple[int, str], Account] = {}
        self._endpoints: dict[int, Endpoint] = {}
        self._changes = 0

    def changed(self, kind: str, number: int) -> None:
        """Forget what a commit changed."""
        self._changes += 1
        if kind == "everything":
            for known in (self._projects, self._accounts, self._references, self._endpoints):
                known.clear()
        elif kind == "project":
            self._projects.pop(number, None)
        elif kind == "account":
            gone = self._accounts.pop(number, None)
            if gone is not None:
                self._references.pop((gone.project_id, gone.reference), None)
        elif kind == "endpoint":
            self._endpoints.pop(number, None)

    async def project(self, project_id: int) -> ProjectRow:
        """Find a project by id.

        :raises NotFoundError: there is none.
        """
        found = self._projects.get(project_id)
        if found is None:
            seen = self._changes
            found = await self._store.get_project_by_id(project_id)
            if seen == self._changes:
                self._projects[project_id] = found
        return found

    async def account(self, account_id: int) -> Account:
        """Find an account by id.

        :raises NotFoundError: there is none.
        """
        found = self._accounts.get(account_id)
        if found is None:
            seen = self._changes
            found = await self._store.get_account(Scope(), account_id)
            self._keep_account(found, seen)
        return found

    async def account_by_reference(self, project_id: int, reference: str) -> Account:
        """Find an account of a project by the product's own id for it.

        :raises NotFoundError: there is none.
        """
        found = self._references.get((project_id, reference))
        if found is None:
            seen = self._changes
            found = await self._store.find_account(Scope(project_id=project_id), reference)
            self._keep_account(found, seen)
        return found

    def _keep_account(self, found: Account, seen: int) -> None:
        if seen != self._changes:
            return
        if len(self._accounts) >= MOST_KEPT:
            self._accounts.clear()
            self._references.clear()
        self._accounts[found.id] = found
        self._references[found.project_id, found.reference] = found

    async def endpoint(self, endpoint_id: int) -> Endpoint:
        """Find an endpoint, with the secrets in force.

        :raises NotFoundError: there is none, or it was removed.
        """
        found = self._endpoints.get(endpoint_id)
        if found is None:
            seen = self._changes
            found = await self._store.get_endpoint(Scope(), endpoint_id)
            if seen == self._changes:
                if len(self._endpoints) >= MOST_KEPT:
                    self._endpoints.clear()
                self._endpoints[endpoint_id] = found
        return found
