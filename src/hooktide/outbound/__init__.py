"""All outbound traffic: an HTTP/1.1 client that sends POST requests to vetted addresses only.

``mail`` passes mail to the operator's own relay.
"""

from hooktide.outbound.mail import Mailer
from hooktide.outbound.own_host import OwnHost
from hooktide.outbound.resolver import Resolver
from hooktide.outbound.sender import Sender

__all__ = ["Mailer", "OwnHost", "Resolver", "Sender"]
