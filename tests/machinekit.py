"""Machines for a test: network namespaces on one bridge, each of which can be disconnected.

A namespace has one interface, on the bridge, and no route to anywhere else. The test process, and
what it runs outside the namespaces, is reachable at ``Lan.host``. Requires root.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "hk"
SUBNETS = range(1, 250)


@dataclass(frozen=True)
class Machine:
    """A machine: its namespace, its address, and its interface on the bridge."""

    name: str
    host: str
    cable: str

    @property
    def under(self) -> list[str]:
        """The command prefix that runs a program on this machine."""
        return ["ip", "netns", "exec", self.name]

    def cut_off(self) -> None:
        """Disconnect the machine: its packets are dropped silently."""
        ip("link", "set", self.cable, "down")

    def join(self) -> None:
        """Reconnect the machine."""
        ip("link", "set", self.cable, "up")


@dataclass
class Lan:
    """A bridge and the machines on it."""

    name: str
    subnet: str
    machines: list[Machine] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The address of the test process."""
        return f"{self.subnet}.1"

    @property
    def network(self) -> str:
        return f"{self.subnet}.0/24"

    def add(self) -> Machine:
        """Add a machine."""
        number = len(self.machines) + 1
        name, host = f"{self.name}m{number}", f"{self.subnet}.{number + 1}"
        machine = Machine(name, host, cable=name)
        self.machines.append(machine)
        ip("netns", "add", name)
        ip("link", "add", machine.cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", machine.cable, "master", self.name, "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "address", "add", f"{host}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        return machine


def possible() -> bool:
    """Return whether network namespaces can be created here."""
    if os.geteuid():
        return False
    try:
        with lan() as probe:
            probe.add()
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextlib.contextmanager
def lan() -> Iterator[Lan]:
    """Create a bridge, and remove it with its machines afterwards."""
    _sweep()
    made = Lan(f"{PREFIX}{os.getpid()}", _free_subnet())
    try:
        ip("link", "add", made.name, "type", "bridge")
        ip("address", "add", f"{made.host}/24", "dev", made.name)
        ip("link", "set", made.name, "up")
        yield made
    finally:
        for machine in made.machines:
            _remove(machine.name)
        _remove(made.name)


def _remove(name: str) -> None:
    """Remove the namespace and the interface of this name if they exist."""
    for what in ("netns", "link"):
        subprocess.run(["ip", what, "delete", name], capture_output=True, check=False)


def _sweep() -> None:
    """Remove what killed test processes left behind."""
    for kind in ("/run/netns", "/sys/class/net"):
        for found in Path(kind).glob(f"{PREFIX}[0-9]*"):
            pid = found.name.removeprefix(PREFIX).partition("m")[0]
            if pid.isdigit() and not Path(f"/proc/{pid}").exists():
                _remove(found.name)


def _free_subnet() -> str:
    used = ip("-4", "-oneline", "address", "show")
    free = (f"10.213.{number}" for number in SUBNETS if f" 10.213.{number}." not in used)
    return next(free)


def ip(*arguments: str) -> str:
    """Run ``ip``, and return its output."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)
    return done.stdout
