"""``hooktide serve``: run a server."""

import os
from typing import Annotated

from cyclopts import Parameter

from hooktide.app.processes.serve import serve as run_server
from hooktide.runtime.settings import Settings, check

_DEFAULTS = Settings()


def serve(settings: Annotated[Settings, Parameter(name="*")] = _DEFAULTS) -> None:
    """Run a server.

    Each option can also be set in the environment: --allow-network is HOOKTIDE_ALLOW_NETWORK. The
    operator key can only be set there (HOOKTIDE_OPERATOR_KEY); without it the first start creates
    one and prints it.
    """
    check(settings)
    run_server(settings, os.environ.get("HOOKTIDE_OPERATOR_KEY", ""))
