"""A brand colour is adjusted so that text in it and on it is readable."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.project.colour import (
    READABLE,
    Rgb,
    Tones,
    contrast,
    mix,
    on_dark,
    on_light,
    read_colour,
    show_colour,
)

WHITE: Rgb = (255, 255, 255)
GROUNDS: dict[Callable[[str], Tones], tuple[str, ...]] = {
    on_light: ("#f6f7f9", "#ffffff", "#f3f5f8", "#e8ecf1"),
    on_dark: ("#11151b", "#181d25", "#12171e", "#232b36"),
}
"""The grounds of hooktide.css that links stand on."""

part = st.integers(0, 255)


@pytest.mark.parametrize("fit", GROUNDS)
@given(colour=st.tuples(part, part, part))
def test_any_colour_becomes_one_that_can_be_read(fit: Callable[[str], Tones], colour: Rgb) -> None:
    tones = fit(show_colour(colour))
    for ground in (*GROUNDS[fit], tones.chosen):
        assert contrast(read_colour(tones.accent), read_colour(ground)) >= READABLE
    assert contrast(read_colour(tones.on_accent), read_colour(tones.accent)) >= READABLE
    assert contrast(read_colour(tones.on_brand), read_colour(tones.brand)) >= READABLE


def test_a_colour_that_can_be_read_stays_as_it_is() -> None:
    assert on_light("#0b5cba").accent == "#0b5cba"
    assert on_dark("#77b2f8").accent == "#77b2f8"
    assert on_light("#ffcc00").brand == "#ffcc00"


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast((0x76, 0x76, 0x76), WHITE) == pytest.approx(4.54, abs=0.01)


def test_colours_mix() -> None:
    assert mix((0, 0, 0), WHITE, 0.5) == (128, 128, 128)
    assert mix((10, 20, 30), WHITE, 0) == (10, 20, 30)
