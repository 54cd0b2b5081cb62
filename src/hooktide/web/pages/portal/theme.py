"""A portal's own face: its colour as a style sheet, and the policy that lets its sites frame it."""

from collections.abc import Mapping

from hooktide.domain.project.colour import Tones, on_dark, on_light
from hooktide.domain.project.portal import DARK, THEMES, Portal
from hooktide.web.pages.framework.rendering import POLICY


def style_sheet(portal: Portal, theme: str = "") -> str:
    """Write the tokens that a portal sets; hooktide.css has the others.

    ``theme``: only those of light or dark; empty: as the reader's system is set.
    """
    if not portal.colour:
        return ""
    light, dark = _tokens(on_light(portal.colour)), _tokens(on_dark(portal.colour))
    if theme in THEMES:
        return f":root {{ {dark if theme == DARK else light} }}\n"
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _tokens(tones: Tones) -> str:
    return (
        f"--accent: {tones.accent}; --on-accent: {tones.on_accent}; --brand: {tones.brand}; "
        f"--on-brand: {tones.on_brand}; --chosen: {tones.chosen};"
    )


def page_headers(portal: Portal) -> Mapping[str, str]:
    """Return the headers of every portal page: no caching, framed by the project's sites only."""
    policy = POLICY["content-security-policy"]
    if portal.origins:
        framing = f"frame-ancestors {' '.join(portal.origins)}"
        policy = policy.replace("frame-ancestors 'none'", framing)
    if portal.logo_origin:
        policy = policy.replace("img-src data:", f"img-src data: {portal.logo_origin}")
    return {
        **POLICY,
        "content-security-policy": policy,
        # The link is in the page's address: forms name their origin, and nothing names the path.
        "referrer-policy": "strict-origin",
        "cache-control": "no-store",
        "x-robots-tag": "noindex",
    }
