"""Free ports on loopback."""

import fcntl
import itertools
import os
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 10_000, 32_767
"""Below the range from which Linux chooses a port for a connection or for port 0."""


def free_port() -> int:
    """Return a port that nothing listens on, and that no other test is given.

    A server starts to listen some time after its port was chosen. Meanwhile the kernel could give
    the same ephemeral port to another process, and servers that share a port (SO_REUSEPORT) would
    answer each other's clients. So all test processes on a machine count through the same range.
    """
    counter = Path(tempfile.gettempdir()) / f"hooktide-tests-port-{os.getuid()}"
    with counter.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        last = int(file.read() or FIRST)
        count = LAST - FIRST + 1
        turns = (FIRST + (last - FIRST + step) % count for step in itertools.count(1))
        port = next(port for port in itertools.islice(turns, count) if _is_free(port))
        file.truncate(0)
        file.write(str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
