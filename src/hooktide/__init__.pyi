from hooktide.client import AsyncClient as AsyncClient
from hooktide.client import Client as Client
from hooktide.domain.json.encoding import RawJSON as RawJSON

__version__: str
