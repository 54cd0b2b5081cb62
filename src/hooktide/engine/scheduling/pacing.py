"""The paces of endpoints and accounts with a rate: which slots this process holds of each.

A request needs a slot of each of its rates (``domain.throttling.timeline``). This process reserves
a few of them ahead, as many as are wanted, in a share that it has with the other processes that
want some; ``asks`` returns what to reserve, ``granted`` takes the result. A slot that is not used
soon lapses: what a process may have saved up does not count on top of the rate. While the database
is away, a process goes on with its last share. Nothing here reads a clock; instants are monotonic.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from hooktide.domain.model import MINUTE, SECOND, Micros
from hooktide.domain.throttling.rate import Rate, Rates
from hooktide.domain.throttling.timeline import AHEAD, SlotAsk, Slots

LAPSE: Micros = SECOND // 2
"""A slot that was not used for so long lapses. It is what a process may add to a rate's 10 s."""
ROOM: Micros = 8 * SECOND
"""As much waits in memory as is sent in this time, well before the claims' leases end."""
MIN_ROOM = 2
POLITENESS: Micros = AHEAD // 4
"""By how much longer than needed a process waits to ask again, if another one may be next."""
SLOWEST = 16
"""Refusals lower a pace to this part of its rate at most."""
RECOVERY: Micros = MINUTE
"""How long a pace takes to recover from none to all of its rate."""
RETRY_AFTER: Micros = SECOND
"""How soon the database is asked again after it did not answer."""
TIMEOUT: Micros = 2 * SECOND
"""How long it takes at most until it has not answered."""


class _Run:
    """Slots that this process holds: ``left`` of them, ``interval`` apart, the next at ``at``."""

    __slots__ = ("at", "interval", "left")

    def __init__(self, at: Micros, interval: Micros, left: int) -> None:
        self.at = at
        self.interval = interval
        self.left = left


class Pace:
    """The pace of an endpoint or an account in this process.

    ``waiting``: the deliveries that wait here for it. ``owed``: requests outside the lanes that
    wait for a slot, which come first. ``parked``: endpoints whose lanes wait for a slot. ``full``
    and ``hungry``: endpoints that are handed nothing more, and those that have more in the store,
    until less waits here. ``room``: how much may wait here. ``timer_at``: when ``parked`` is looked
    at next.
    """

    __slots__ = (
        "_alone",
        "_asking",
        "_base",
        "_denials",
        "_runs",
        "_slowed_since",
        "ask_at",
        "full",
        "held",
        "hungry",
        "most",
        "owed",
        "owner_id",
        "parked",
        "rate",
        "room",
        "sharing",
        "timer_at",
        "waiting",
    )

    def __init__(self, owner_id: int, rate: Rate, most: int) -> None:
        self.owner_id = owner_id
        self.rate = rate
        self.most = most
        self.sharing = 0
        self.waiting = 0
        self.owed = 0
        self.held = 0
        self.ask_at: Micros = 0
        self.timer_at: Micros | None = None
        self.parked: deque[int] = deque()
        self.full: set[int] = set()
        self.hungry: list[int] = []
        self._runs: deque[_Run] = deque()
        self._alone = False
        self._asking = False
        self._denials = 0
        self._base = 1.0
        self._slowed_since: Micros | None = None
        self.room = 0
        self._make_room()

    def use(self, rate: Rate) -> None:
        """Note that the rate was changed. Slots of the old one are given up."""
        if rate != self.rate:
            self.rate = rate
            self._give_up()
            self._make_room()

    def _give_up(self) -> None:
        self._alone = False
        self._runs.clear()
        self.held = 0

    def _make_room(self) -> None:
        sent = self.rate.per_second * ROOM // SECOND // max(1, self.sharing)
        self.room = max(MIN_ROOM, min(sent, self.most))

    def ready(self, now: Micros) -> int:
        """Return how many slots may be used now, besides those that are owed."""
        self._drop_lapsed(now)
        count = -self.owed
        for run in self._runs:
            if run.at > now:
                break
            count += min(run.left, (now - run.at) // run.interval + 1) if run.interval else run.left
        return count

    def ready_at(self, now: Micros, before: int) -> Micros | None:
        """Return when a slot may be used that ``before`` others precede; None: it is not held."""
        self._drop_lapsed(now)
        for run in self._runs:
            if run.left > before:
                return max(now, run.at + before * run.interval)
            before -= run.left
        return None

    def _drop_lapsed(self, now: Micros) -> None:
        while self._runs and (late := now - LAPSE - self._runs[0].at) > 0:
            run = self._runs[0]
            lapsed = min(run.left, late // run.interval + 1) if run.interval else run.left
            self._use(run, lapsed)

    def take(self, now: Micros) -> None:
        """Use a slot that is ready."""
        self._drop_lapsed(now)
        if self._runs:
            self._use(self._runs[0], 1)

    def _use(self, run: _Run, count: int) -> None:
        run.left -= count
        run.at += count * run.interval
        self.held -= count
        if not run.left:
            self._runs.popleft()

    def refused(self) -> None:
        """Note that the receiver asked for rest: the pace is halved, and recovers afterwards."""
        self._base = max(1 / SLOWEST, self._base / 2)
        self._slowed_since = None

    def speed(self, now: Micros) -> float:
        """Return the current part of the rate: less than 1 after the receiver asked for rest."""
        if self._base >= 1:
            return 1.0
        if self._slowed_since is None:
            self._slowed_since = now
        speed = self._base + (now - self._slowed_since) / RECOVERY
        if speed < 1:
            return speed
        self._base, self._slowed_since = 1.0, None
        return 1.0

    def _interval(self, now: Micros) -> Micros:
        return round(self.rate.interval / self.speed(now))

    def wants(self, now: Micros) -> int:
        """Return how many slots to ask for now; 0: none, or not yet."""
        wanted = self.waiting + self.owed
        if self._asking or now < self.ask_at or not wanted:
            return 0
        self._drop_lapsed(now)
        share = self._share(now)
        if self.held > share // 2:
            return 0
        return max(0, min(wanted, share + self.rate.burst) - self.held)

    def _share(self, now: Micros) -> int:
        """Return how many slots that are still to come this process may hold."""
        return max(1, AHEAD // self._interval(now) // max(1, self.sharing))

    def ask(self, count: int, now: Micros) -> SlotAsk:
        """Return what to ask for; ``granted`` or ``unavailable`` has to be called afterwards."""
        self._asking = True
        share = max(1, self._share(now) - self.held)
        return SlotAsk(self.owner_id, self._interval(now), self.rate.burst, count, share)

    def granted(
        self, ask: SlotAsk, first_at: Micros, count: int, sharing: int, now: Micros
    ) -> None:
        """Take what was reserved; ``first_at`` is the next free slot if it was nothing."""
        self._asking = False
        if sharing != self.sharing:
            self.sharing = sharing
            self._make_room()
        if not count:
            polite = POLITENESS // (1 + self._denials) if sharing > 1 else 0
            self._denials += 1
            self.ask_at = max(now + 1, first_at - AHEAD + polite)
            return
        self._denials, self.ask_at = 0, 0
        if self._alone:
            self._give_up()
        at_once = min(count, max(0, (now - first_at) // ask.interval + 1))
        self._hold(now, 0, at_once)
        self._hold(first_at + at_once * ask.interval, ask.interval, count - at_once)

    def _hold(self, at: Micros, interval: Micros, count: int) -> None:
        if count > 0:
            self._runs.append(_Run(at, interval, count))
            self.held += count

    def unavailable(self, now: Micros) -> None:
        """Go on with the last share for a while: the database does not answer."""
        self._asking, self._alone = False, True
        self.ask_at = now + RETRY_AFTER
        if not self.sharing:  # it never had one
            return
        interval = self._interval(now) * self.sharing
        last = self._runs[-1] if self._runs else None
        start = now if last is None else max(now, last.at + last.left * last.interval)
        until = now + RETRY_AFTER + TIMEOUT
        self._hold(start + interval, interval, max(0, (until - start) // interval))


class Pacing:
    """The paces that this process knows of. ``wanted``: slots should be asked for."""

    def __init__(self, most_per_endpoint: int) -> None:
        self._paces: dict[int, Pace] = {}
        self._wanting: dict[int, Pace] = {}
        self._asking: dict[int, Pace] = {}
        self._most_per_endpoint = most_per_endpoint
        self.wanted = False

    def paces(self, endpoint_id: int, account_id: int, rates: Rates | None) -> tuple[Pace, ...]:
        """Return the paces of an endpoint with these rates."""
        if rates is None:
            return ()
        most = self._most_per_endpoint
        owners = ((endpoint_id, rates.endpoint, most), (account_id, rates.account, 4 * most))
        return tuple(
            self._pace(owner_id, rate, room) for owner_id, rate, room in owners if rate is not None
        )

    def _pace(self, owner_id: int, rate: Rate, most: int) -> Pace:
        pace = self._paces.get(owner_id)
        if pace is None:
            pace = self._paces[owner_id] = Pace(owner_id, rate, most)
        pace.use(rate)
        return pace

    def want(self, pace: Pace) -> None:
        """Note that a pace may need more slots."""
        self._wanting[pace.owner_id] = pace
        self.wanted = True

    def asks(self, now: Micros) -> list[SlotAsk]:
        """Return what to reserve now. Those that cannot ask yet have to want it again."""
        self.wanted = False
        wanting, self._wanting = self._wanting, {}
        asks: list[SlotAsk] = []
        for pace in wanting.values():
            if count := pace.wants(now):
                self._asking[pace.owner_id] = pace
                asks.append(pace.ask(count, now))
        return asks

    def granted(
        self, asks: Sequence[SlotAsk], slots: Iterable[Slots], ahead: Micros, now: Micros
    ) -> list[Pace]:
        """Take what was reserved; ``ahead``: how far the slots' clock is ahead of this one."""
        found = {each.owner_id: each for each in slots}
        paces: list[Pace] = []
        for ask in asks:
            pace = self._asking.pop(ask.owner_id)
            if (got := found.get(ask.owner_id)) is None:
                pace.unavailable(now)
            else:
                pace.granted(ask, got.first_at - ahead, got.count, got.sharing, now)
            paces.append(pace)
        return paces

    def keep(self, paces: Iterable[Pace]) -> None:
        """Forget all paces but these."""
        self._paces = {pace.owner_id: pace for pace in paces}
