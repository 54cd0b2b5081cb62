"""``hooktide serve``: one process, or several."""

import asyncio
import sys

from hooktide.app.processes.single import listen, serve_alone
from hooktide.app.processes.supervisor import Supervisor
from hooktide.runtime.logs import set_up
from hooktide.runtime.settings import Settings
from hooktide.runtime.vault import load_vault

CHILD = (sys.executable, "-m", "hooktide.app.processes.child")


def serve(settings: Settings, operator_key: str = "") -> None:
    """Run a server until SIGTERM or SIGINT.

    ``operator_key`` grants full access; empty: use the one created at the first start.

    :raises ConfigError: the settings, the database or the key do not allow it.
    """
    if settings.processes == 1:
        serve_alone(settings, operator_key)
        return
    set_up(settings.log_level)
    load_vault(
        settings.key_path
    )  # created here if needed, before other processes could create it too
    code = asyncio.run(Supervisor(CHILD, settings, listen(settings), operator_key).run())
    if code:
        sys.exit(code)
