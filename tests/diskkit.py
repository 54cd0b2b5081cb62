"""A small file system for one test, on machines where the test may mount one."""

import os
import shutil
from pathlib import Path
from subprocess import DEVNULL, run


def mounted(folder: Path, megabytes: int = 8) -> bool:
    """Mount a file system of this size. Return whether that was permitted."""
    mount = shutil.which("mount")
    if os.geteuid() or mount is None:
        return False
    command = [mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    return run(command, stderr=DEVNULL, check=False).returncode == 0


def unmount(folder: Path) -> None:
    """Unmount the file system."""
    run(["umount", folder], check=True)


def fill(folder: Path, but: int = 0) -> None:
    """Fill the file system except for this many bytes."""
    free = shutil.disk_usage(folder).free
    (folder / "ballast").write_bytes(b"x" * (free - but))


def free(folder: Path) -> None:
    """Remove the file that fills the disk."""
    (folder / "ballast").unlink(missing_ok=True)
