"""The command line for whoever sends and receives webhooks: one file a command.

Each asks a running server through ``hooktide.client``. ``asking`` has what they have in common,
``showing`` how things look.
"""

from collections.abc import Callable
from typing import Any

from hooktide.commands.importing import import_endpoints
from hooktide.commands.listening import listen
from hooktide.commands.log import deliveries, events
from hooktide.commands.replaying import replay
from hooktide.commands.sending import send
from hooktide.commands.tailing import tail
from hooktide.commands.verifying import verify

COMMANDS: dict[str, Callable[..., Any]] = {
    "send": send,
    "events": events,
    "deliveries": deliveries,
    "tail": tail,
    "replay": replay,
    "verify": verify,
    "listen": listen,
    "import": import_endpoints,
}
