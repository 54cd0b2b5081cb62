"""The only way out: an HTTP/1.1 client that posts, guards where it posts, and does nothing else."""

from hooktide.outbound.resolver import Resolver
from hooktide.outbound.sender import Sender

__all__ = ["Resolver", "Sender"]
