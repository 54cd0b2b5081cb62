"""A wall clock that leaps where a test says (libfaketime); the monotonic clock goes on."""

from pathlib import Path

DAY = 86_400


class WallClock:
    """The wall clock of the programs that run ``under`` it; they have to reach ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wall-clock"
        self.leap(0)

    @property
    def under(self) -> list[str]:
        """The command that runs a program which goes by it."""
        return [
            "env",
            f"LD_PRELOAD={library()}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "FAKETIME_FORCE_MONOTONIC_FIX=0",  # for an old glibc; Python's threads stall with it
        ]

    def leap(self, days: int) -> None:
        """Be so many days ahead of the true time from now on; negative: behind."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{days * DAY:+d}\n")
        new.replace(self._file)


def library() -> Path | None:
    """Return libfaketime for programs with threads; None: it is not installed."""
    found = Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1")
    return next(found, None)
