"""The only way out: an HTTP/1.1 client that posts and guards where it posts.

Beside it, what hands mail to the operator's own relay.
"""

from hooktide.outbound.mail import Mailer
from hooktide.outbound.own_host import OwnHost
from hooktide.outbound.resolver import Resolver
from hooktide.outbound.sender import Sender

__all__ = ["Mailer", "OwnHost", "Resolver", "Sender"]
