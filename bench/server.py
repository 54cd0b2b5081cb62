"""The server under test: started on an empty database, filled by its API, read by /metrics."""

import http.client
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.postgres import Postgres, postgres
from bench.processes import BenchError, Child, Usage
from bench.receiver import free_ports

READY_TIMEOUT = 20.0
EVENT_TYPES = (
    "invoice.created",
    "invoice.sent",
    "invoice.paid",
    "invoice.overdue",
    "invoice.voided",
)
PROJECT = Path(__file__).with_name("project.toml")

ACCEPTED = "hooktide_events_accepted_total"
ATTEMPTS = "hooktide_attempts_total"
LAST_ATTEMPTS = ('verdict="delivered"', 'verdict="failed"', 'verdict="gone"')
"""The metrics that are read: events accepted, attempts, and those that ended their delivery."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the server has counted since it started."""

    accepted: int
    ended: int

    @property
    def queued(self) -> int:
        """Deliveries that have not come to an end (each event has one)."""
        return max(0, self.accepted - self.ended)


class Made(msgspec.Struct):
    """What the API answers when something is made, as far as it matters here."""

    id: str = ""
    key: str = ""


class Server:
    """A running ``hooktide serve``."""

    def __init__(
        self, child: Child, port: int, operator_key: str, database: Path | Postgres
    ) -> None:
        self._child = child
        self._operator_key = operator_key
        self._database = database
        self.port = port
        self.ready_after = 0.0

    @property
    def pids(self) -> list[int]:
        """Its processes, and PostgreSQL's; those below them are not listed."""
        database = self._database
        return [self._child.pid, *([database.child.pid] if isinstance(database, Postgres) else [])]

    def check(self) -> None:
        """Raise what it said last, if it has ended."""
        self._child.check()

    def usage(self) -> Usage:
        """Return what its processes have used; PostgreSQL's CPU counts too, its memory does not."""
        used = self._child.usage()
        if isinstance(self._database, Postgres):
            return Usage(used.cpu + self._database.usage().cpu, used.rss, used.peak)
        return used

    def database_cpu(self) -> float:
        """Return the CPU seconds that PostgreSQL has used; SQLite runs in the server."""
        return self._database.usage().cpu if isinstance(self._database, Postgres) else 0.0

    def disk(self) -> int:
        """Return the bytes of the database; of SQLite's, with its write-ahead log."""
        if isinstance(self._database, Postgres):
            return self._database.disk()
        files = (self._database, Path(f"{self._database}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def counts(self) -> Counts:
        """Read its metrics."""
        text = self._ask("GET", "/metrics").decode()
        return Counts(
            accepted=_total(text, ACCEPTED),
            ended=sum(_total(text, ATTEMPTS, label) for label in LAST_ATTEMPTS),
        )

    def drained(self, within: float) -> Counts:
        """Wait until the queue is empty, and return the counts then."""
        deadline = time.monotonic() + within
        counts = self.counts()
        while counts.queued > 0:
            self._child.check()
            if time.monotonic() > deadline:
                raise BenchError(f"{counts.queued} deliveries have no end after {within:.0f} s")
            time.sleep(0.1)
            counts = self.counts()
        return counts

    def fill(self, ports: list[int]) -> str:
        """Make the project, one account for each port with five endpoints; return a project key."""
        key = self.create_project()
        for number, port in enumerate(ports):
            self.create_account(number, port)
        return key

    def create_project(self, more_types: int = 0) -> str:
        """Make the project, with some event types more; return a project key."""
        types = "".join(f'\n[event_types."other.type_{each}"]\n' for each in range(more_types))
        text = PROJECT.read_bytes() + types.encode()
        self._ask("PUT", "/v1/projects/bench", text, "application/toml")
        key = {"scope": "project", "project": "bench", "name": "benchmark"}
        return self._make("/v1/keys", key).key

    def create_account(self, number: int, port: int) -> str:
        """Make an account with an endpoint for each event type; return its id."""
        account_id = self.create_bare_account(number)
        for path, event_type in enumerate(EVENT_TYPES):
            self.create_endpoint(account_id, f"http://127.0.0.1:{port}/e{path}", [event_type])
        return account_id

    def create_bare_account(self, number: int) -> str:
        """Make an account without endpoints; return its id."""
        account = {"project": "bench", "reference": reference(number)}
        return self._make("/v1/accounts", account).id

    def create_endpoint(self, account_id: str, url: str, event_types: Sequence[str]) -> None:
        """Make an endpoint."""
        endpoint = {"account": account_id, "url": url, "event_types": event_types}
        self._make("/v1/endpoints", endpoint)

    def publish(self, account_id: str) -> None:
        """Publish one event for an account."""
        event = {"account": account_id, "type": EVENT_TYPES[0], "payload": {}}
        self._make("/v1/events", event)

    @property
    def database(self) -> Path | str:
        """Its database: SQLite's file, or the URL of its PostgreSQL."""
        return self._database.url if isinstance(self._database, Postgres) else self._database

    def delete_account(self, account_id: str) -> None:
        """Delete an account, so that nothing more is sent for it."""
        self._ask("DELETE", f"/v1/accounts/{account_id}")

    def await_ready(self) -> None:
        """Wait until it answers that it is ready."""
        while time.monotonic() < self._child.started_at + READY_TIMEOUT:
            self._child.check()
            with suppress(BenchError):
                self._ask("GET", "/health/ready")
                self.ready_after = time.monotonic() - self._child.started_at
                return
            time.sleep(0.005)
        raise BenchError(f"not ready after {READY_TIMEOUT:.0f} s. It said:\n{self._child.said()}")

    def _make(self, path: str, body: Mapping[str, object]) -> Made:
        made = self._ask("POST", path, msgspec.json.encode(body))
        return msgspec.json.decode(made, type=Made)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> bytes:
        headers = {"authorization": f"Bearer {self._operator_key}", "content-type": kind}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._child.check()
            raise BenchError(f"{method} {path} was not answered: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise BenchError(f"{method} {path} answered {answer.status}: {text.decode()[:500]}")
        return text


def reference(number: int) -> str:
    """Name the benchmark's accounts."""
    return f"customer-{number:02}"


@contextmanager
def server(
    folder: Path, program: Sequence[str], options: Sequence[str] = (), kind: str = "sqlite"
) -> Iterator[Server]:
    """Start ``hooktide serve`` on an empty database, wait until it is ready, and end it."""
    if kind == "sqlite":
        with _serving(folder, program, options, folder / "hooktide.db") as running:
            yield running
    else:
        with (
            postgres(folder) as cluster,
            _serving(folder, program, options, cluster) as running,
        ):
            yield running


@contextmanager
def _serving(
    folder: Path, program: Sequence[str], options: Sequence[str], database: Path | Postgres
) -> Iterator[Server]:
    (port,) = free_ports(1)
    url = database.url if isinstance(database, Postgres) else str(database)
    operator_key = f"htk_{secrets.token_urlsafe(32)}"
    command = [*program, "serve", "--database", url, "--listen", f"127.0.0.1:{port}"]
    command += ["--allow-network", "127.0.0.0/8", "--key-file", str(folder / "key"), *options]
    environment = {"HOOKTIDE_OPERATOR_KEY": operator_key}
    with Child(command, folder / "server.log", environment=environment) as child:
        running = Server(child, port, operator_key, database)
        running.await_ready()
        yield running


def _total(text: str, metric: str, label: str = "") -> int:
    """Add up a metric's samples, those that carry the label; a counter not yet there is 0."""
    samples = re.findall(rf"^{metric}(?:\{{(.*)\}})? (\S+)", text, re.MULTILINE)
    return round(sum(float(value) for labels, value in samples if label in labels))
