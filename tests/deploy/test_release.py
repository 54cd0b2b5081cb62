"""What ``make release`` writes into the changelog; ``test_package`` checks the rest."""

from datetime import date

import pytest
from make_release import CHANGELOG, ReleaseError, dated

DAY = date(2026, 3, 1)
NEW = "# Changelog\n\n## Unreleased\n\n### Fixed\n\n- One thing.\n"
OLD = "\n## 0.1.0 - 2026-01-01\n\n- Everything.\n"


def test_what_is_unreleased_becomes_a_versions_section() -> None:
    made = dated(NEW + OLD, "0.2.0", DAY)
    assert made == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-03-01\n\n### Fixed\n\n- One thing.\n" + OLD
    )


def test_a_version_is_released_once() -> None:
    with pytest.raises(ReleaseError, match="raise __version__"):
        dated(NEW + OLD, "0.1.0", DAY)


@pytest.mark.parametrize("changelog", ["# Changelog\n" + OLD, "## Unreleased\n" + OLD])
def test_a_release_has_something_to_say(changelog: str) -> None:
    with pytest.raises(ReleaseError, match="nothing below"):
        dated(changelog, "0.2.0", DAY)


def test_the_changelog_has_the_form_that_is_looked_for() -> None:
    dated(CHANGELOG.read_text().replace("## Unreleased", "## Unreleased\n\n- One."), "9.9.9", DAY)
