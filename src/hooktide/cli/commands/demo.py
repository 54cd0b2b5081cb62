"""``hooktide demo``: see it work."""

import sys

from hooktide.cli.demo import run


def demo(*, once: bool = False, port: int = 8080) -> None:
    """Deliver five providers' events to consumers written from their guides, and show it.

    Parameters
    ----------
    once
        Exit afterwards, with a non-zero code if a guarantee did not hold.
    port
        Where the demo's server listens; 0 for any free port.
    """
    sys.exit(run(once=once, port=port))
