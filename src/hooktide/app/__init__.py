"""The composition root: the only place that joins store, outbound client, engine and web.

``build`` puts the parts of one process together (``wiring``), and ``Lifecycle`` starts and stops
them.
"""

from hooktide.actions.database import open_store
from hooktide.app.first_start import FirstStart
from hooktide.app.lifecycle import Lifecycle
from hooktide.app.metrics_page import AddUp, alone
from hooktide.app.parts import App
from hooktide.app.wiring import build

__all__ = ["AddUp", "App", "FirstStart", "Lifecycle", "alone", "build", "open_store"]
