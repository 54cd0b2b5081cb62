"""The key file is either complete or missing, however the start that creates it ends."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hooktide.runtime.vault import load_vault, read_keys


def test_a_start_that_is_killed_while_it_makes_the_key_leaves_nothing_in_the_way(
    tmp_path: Path,
) -> None:
    path = tmp_path / "key"
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from hooktide.runtime.vault import load_vault\n"
        "os.fsync = lambda _: os._exit(9)\n"  # the machine stops when the key is synced
        "load_vault(Path(sys.argv[1]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == 9
    assert not path.exists()
    made = load_vault(path)
    [key] = read_keys(path)
    assert len(key) == 32
    assert load_vault(path).ids == made.ids
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_of_several_that_start_at_once_all_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        vaults = list(threads.map(load_vault, [tmp_path / "key"] * 8))
    assert len({each.ids for each in vaults}) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["key"]
