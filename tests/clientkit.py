"""A running server for the tests of clients and of the command line, with one account."""

from dataclasses import dataclass

from serverkit import KEY, Server

from hooktide import AsyncClient
from hooktide.dialects import read_shipped


@dataclass
class Place:
    """A running server with the project invoice-maker and the account acme on plan pro."""

    server: Server
    url: str
    account: str
    key: str = KEY

    @property
    def environment(self) -> dict[str, str]:
        return {"HOOKTIDE_SERVER": self.url, "HOOKTIDE_KEY": self.key}


async def furnish(server: Server) -> Place:
    url = f"http://127.0.0.1:{server.port}"
    async with AsyncClient(url, server.key) as client:
        await client.projects.apply("invoice-maker", read_shipped("invoice-maker"))
        account = await client.accounts.create("acme", project="invoice-maker", plan="pro")
    return Place(server, url, account.id)
