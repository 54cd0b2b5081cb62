"""Readable tones of a brand's colour: all that pages need, computed from one colour.

Contrast is WCAG 2's; its level AA requires 4.5 for text.
"""

from dataclasses import dataclass
from typing import TypeAlias

Rgb: TypeAlias = tuple[int, int, int]

READABLE = 4.5


@dataclass(frozen=True, slots=True)
class Tones:
    """A colour on one kind of ground, light or dark.

    ``accent`` is text and lines, ``on_accent`` text upon it; ``brand`` is the colour as it was
    given, for surfaces, ``on_brand`` text upon it; ``chosen`` is a ground with a touch of it.
    """

    accent: str
    on_accent: str
    brand: str
    on_brand: str
    chosen: str


def on_light(colour: str) -> Tones:
    """Fit a colour (``#rrggbb``) to a light page."""
    return _fit(read_colour(colour), _LIGHT, _CARD_LIGHT, _INK)


def on_dark(colour: str) -> Tones:
    """Fit a colour (``#rrggbb``) to a dark page."""
    return _fit(read_colour(colour), _DARK, _CARD_DARK, _WHITE)


# Of each page's grounds (``static/hooktide.css``) the one on which text is hardest to read.
_LIGHT: Rgb = (0xE8, 0xEC, 0xF1)
_DARK: Rgb = (0x23, 0x2B, 0x36)
_CARD_LIGHT: Rgb = (0xFF, 0xFF, 0xFF)
_CARD_DARK: Rgb = (0x18, 0x1D, 0x25)
_INK: Rgb = (0x0D, 0x14, 0x20)
_WHITE: Rgb = (0xFF, 0xFF, 0xFF)
_STEPS = 50


def _fit(given: Rgb, ground: Rgb, card: Rgb, towards: Rgb) -> Tones:
    steps = (mix(given, towards, step / _STEPS) for step in range(_STEPS + 1))
    accent = next(each for each in steps if _reads(each, ground, card))
    return Tones(
        accent=show_colour(accent),
        on_accent=show_colour(_readable_on(accent)),
        brand=show_colour(given),
        on_brand=show_colour(_readable_on(given)),
        chosen=show_colour(_chosen(accent, card)),
    )


def _reads(accent: Rgb, ground: Rgb, card: Rgb) -> bool:
    grounds = (ground, card, _chosen(accent, card))
    return all(contrast(accent, each) >= READABLE for each in grounds)


def _chosen(accent: Rgb, card: Rgb) -> Rgb:
    return mix(card, accent, 0.1)


def _readable_on(ground: Rgb) -> Rgb:
    return max(_WHITE, (0, 0, 0), key=lambda text: contrast(text, ground))


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """Return a colour on the way from one to the other (share 0..1)."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def contrast(one: Rgb, other: Rgb) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.1, 1.4.3)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Rgb) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def read_colour(text: str) -> Rgb:
    """Read ``#rrggbb``; ``ValueError`` for anything else."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def show_colour(colour: Rgb) -> str:
    """Write a colour as ``#rrggbb``."""
    return f"#{bytes(colour).hex()}"
