"""The outbound client is tested on the event loop that it runs on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop
from wire import LOOPBACK

from hooktide.outbound import Resolver, Sender


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on uvloop, as the server does."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    """A sender that may connect to loopback."""
    sender = Sender(LOOPBACK, resolver=Resolver())
    yield sender
    await sender.close()
