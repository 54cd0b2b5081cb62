"""``hooktide serve``: run a server."""

import os
from typing import Annotated

from cyclopts import Parameter

from hooktide.processes.serve import serve as run_server
from hooktide.settings import Settings, check

_DEFAULTS = Settings()


def serve(settings: Annotated[Settings, Parameter(name="*")] = _DEFAULTS) -> None:
    """Run a server.

    Each option may be set in the environment too: --allow-network is HOOKTIDE_ALLOW_NETWORK. The
    operator's key is taken only from there (HOOKTIDE_OPERATOR_KEY); without it the first start
    makes one and prints it.
    """
    check(settings)
    run_server(settings, os.environ.get("HOOKTIDE_OPERATOR_KEY", ""))
