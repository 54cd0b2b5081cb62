"""The composition root: the only place that joins store, outbound client, engine and web.

``build`` puts the parts of one process together (``wiring``), ``Lifecycle`` starts and stops them,
and ``begin_app`` is both at once with a database (``opening``).
"""

from hooktide.actions.database import open_store
from hooktide.app.first_start import FirstStart
from hooktide.app.lifecycle import Lifecycle
from hooktide.app.metrics_page import AddUp, alone
from hooktide.app.opening import begin_app, begin_when_possible
from hooktide.app.parts import App
from hooktide.app.wiring import build

__all__ = [
    "AddUp",
    "App",
    "FirstStart",
    "Lifecycle",
    "alone",
    "begin_app",
    "begin_when_possible",
    "build",
    "open_store",
]
