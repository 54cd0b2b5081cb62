"""The hidden token of forms, which looks different on each page.

Pages are compressed, and the size of a page would tell what is on it each time, beside something
that somebody else chose (BREACH).
"""

import hmac
import secrets


def masked(token: str) -> str:
    """Return a token as a form shows it: a random pad, and the token under it, in hexadecimal."""
    plain = token.encode()
    pad = secrets.token_bytes(len(plain))
    return pad.hex() + _xor(pad, plain).hex()


def unmasked(sent: str) -> str:
    """Return what a form brought without its mask; a token itself has characters of its own."""
    try:
        both = bytes.fromhex(sent)
        return _xor(both[: len(both) // 2], both[len(both) // 2 :]).decode()
    except ValueError:
        return sent


def matches(sent: str, token: str) -> bool:
    """Whether what a form brought is a token, masked or not."""
    return hmac.compare_digest(unmasked(sent).encode(), token.encode())


def _xor(pad: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, text, strict=True))
