from hooktide.client import AsyncClient as AsyncClient
from hooktide.client import Client as Client

__version__: str
