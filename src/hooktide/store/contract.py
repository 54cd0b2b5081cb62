"""The store: what there is to ask of either database."""

from hooktide.store.accounts import Accounts
from hooktide.store.audit_log import AuditLog
from hooktide.store.base import OwnStore
from hooktide.store.bins import Bins
from hooktide.store.deliveries import Deliveries
from hooktide.store.endpoints import Endpoints
from hooktide.store.erasures import Erasures
from hooktide.store.events import Events
from hooktide.store.keys import Keys
from hooktide.store.operational_events import OperationalEvents
from hooktide.store.people import People
from hooktide.store.projects import Projects
from hooktide.store.replays import Replays
from hooktide.store.retention import Retention
from hooktide.store.sessions import Sessions
from hooktide.store.stash import Stash
from hooktide.store.stats import Stats
from hooktide.store.waiting_deliveries import WaitingDeliveries


class Store(
    Projects,
    Accounts,
    Endpoints,
    Events,
    Deliveries,
    Replays,
    WaitingDeliveries,
    Retention,
    Erasures,
    Keys,
    People,
    Sessions,
    Stash,
    AuditLog,
    OperationalEvents,
    Stats,
    Bins,
    OwnStore,
):
    """One database. What all methods have in common is said in ``store.base``."""
