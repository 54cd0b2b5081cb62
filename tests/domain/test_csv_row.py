"""CSV rows are read back unchanged, and no spreadsheet executes them."""

import csv
import io

import pytest

from hooktide.domain.csv_row import csv_row


def test_a_row_is_read_back_as_it_was_written() -> None:
    values = ["a,b", 'c"d', "e\r\nf", "", "é", " g "]
    [row] = csv.reader(io.StringIO(csv_row(values), newline=""))
    assert row == values


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert csv_row([1, -2.5, None, "x"]) == "1,-2.5,,x\r\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("x")'])
def test_no_text_begins_like_a_formula(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(csv_row([text]), newline=""))
    assert cell == f"'{text}"
