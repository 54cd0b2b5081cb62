"""A small disk of its own for a test, where it may mount one."""

import os
import shutil
from pathlib import Path
from subprocess import DEVNULL, run


def mounted(folder: Path, megabytes: int = 8) -> bool:
    """Mount a disk of so many megabytes, where we may."""
    mount = shutil.which("mount")
    if os.geteuid() or mount is None:
        return False
    command = [mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    return run(command, stderr=DEVNULL, check=False).returncode == 0


def unmount(folder: Path) -> None:
    """Let go of a disk that was mounted."""
    run(["umount", folder], check=True)


def fill(folder: Path, but: int = 0) -> None:
    """Fill a disk up, but for so many bytes."""
    free = shutil.disk_usage(folder).free
    (folder / "ballast").write_bytes(b"x" * (free - but))


def free(folder: Path) -> None:
    """Make room again."""
    (folder / "ballast").unlink(missing_ok=True)
