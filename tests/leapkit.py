"""A wall clock that a test can set (libfaketime). The monotonic clock is not affected."""

from pathlib import Path

DAY = 86_400


class WallClock:
    """The wall clock of programs started with ``under``, which need access to ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wall-clock"
        self.leap(0)

    @property
    def under(self) -> list[str]:
        """The command prefix that makes a program use this clock."""
        return [
            "env",
            f"LD_PRELOAD={library()}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "FAKETIME_FORCE_MONOTONIC_FIX=0",  # meant for an old glibc; it stalls Python's threads
        ]

    def leap(self, days: int) -> None:
        """Set the clock this many days ahead of the real time, or behind if negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{days * DAY:+d}\n")
        new.replace(self._file)


def library() -> Path | None:
    """Return the path of the multi-threaded libfaketime, or ``None`` if it is not installed."""
    found = Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1")
    return next(found, None)
