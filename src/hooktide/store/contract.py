"""The store: every operation of either database."""

from hooktide.store.access.keys import Keys
from hooktide.store.access.sessions import Sessions
from hooktide.store.access.stash import Stash
from hooktide.store.access.users import Users
from hooktide.store.base import OwnStore
from hooktide.store.bins import Bins
from hooktide.store.configuration.accounts import Accounts
from hooktide.store.configuration.endpoints import Endpoints
from hooktide.store.configuration.erasures import Erasures
from hooktide.store.configuration.projects import Projects
from hooktide.store.deliveries.deliveries import Deliveries
from hooktide.store.deliveries.delivery_jobs import DeliveryJobs
from hooktide.store.deliveries.events import Events
from hooktide.store.deliveries.replays import Replays
from hooktide.store.deliveries.retention import Retention
from hooktide.store.deliveries.search import Search
from hooktide.store.deliveries.stats import Stats
from hooktide.store.deliveries.waiting_deliveries import WaitingDeliveries
from hooktide.store.journal.audit_log import AuditLog
from hooktide.store.journal.operational_events import OperationalEvents


class Store(
    Projects,
    Accounts,
    Endpoints,
    Events,
    Deliveries,
    Replays,
    Search,
    DeliveryJobs,
    WaitingDeliveries,
    Retention,
    Erasures,
    Keys,
    Users,
    Sessions,
    Stash,
    AuditLog,
    OperationalEvents,
    Stats,
    Bins,
    OwnStore,
):
    """One database. ``store.base`` documents what all methods have in common."""
