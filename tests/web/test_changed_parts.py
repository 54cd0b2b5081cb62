"""What a page that keeps itself current is sent again."""

import re

import pytest

from hooktide.web.pages.framework.changed_parts import changed_parts


@pytest.mark.parametrize("text", ["now", "jetzt", "in 5 Sekunden", "in 1 hour 3 minutes"])
def test_what_a_script_counts_down_is_no_news_in_any_language(text: str) -> None:
    known = re.findall(r'data-tag="([^"]*)"', changed_parts(page("in 2 minutes"), ()))
    assert changed_parts(page(text), known) == f'<div id="rows" data-same="{known[0]}"></div>'


def test_another_moment_to_count_down_to_is_news() -> None:
    known = re.findall(r'data-tag="([^"]*)"', changed_parts(page("now"), ()))
    assert "data-same" not in changed_parts(page("now", "2026-02-01T12:00:09Z"), known)


def page(text: str, at: str = "2026-02-01T12:00:00Z") -> str:
    return f'<div id="rows" data-live><time class="soon" datetime="{at}">{text}</time></div>'
