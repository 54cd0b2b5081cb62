"""A process that freezes or loses its connection during a transaction does not block others.

PostgreSQL would hold its locks until someone notices that the process is gone.
"""

import pytest
from storekit import NOON, Given, Place, at_last

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Scope
from hooktide.store.postgres.connection.connection import Database, transaction


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.mark.parametrize("pooled", [False, True])
async def test_what_it_has_locked_is_free_again_after_a_while(
    given: Given, place: Place, pooled: bool
) -> None:
    database = Database(place.url, pooled=pooled, connections=1)

    async def stand_still() -> None:
        async with transaction(database) as link:
            await link.rows("SELECT id FROM hooktide.endpoints FOR UPDATE")
            await at_last(
                lambda: given.store.disable_endpoint(Scope(), given.endpoint.id, "paused", NOON)
            )

    with pytest.raises(UnavailableError):
        await stand_still()
    await database.close()
    assert not (await given.store.get_endpoint(Scope(), given.endpoint.id)).enabled
