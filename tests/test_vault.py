"""Sealed values open only with their key and for their row. Key files survive crashes."""

import base64
import os
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hooktide.domain.errors import ConfigError, UnsealError
from hooktide.runtime.vault import (
    KEY_BYTES,
    Vault,
    added_key,
    changing_keys,
    key_id,
    load_vault,
    read_keys,
    write_keys,
)

OLD, NEW, OTHER = b"o" * KEY_BYTES, b"n" * KEY_BYTES, b"x" * KEY_BYTES


def test_the_first_key_seals_and_all_keys_open() -> None:
    sealed = Vault(OLD).seal(b"hush", "secrets.sealed:1")
    both = Vault(NEW, OLD)
    assert both.open(sealed, "secrets.sealed:1") == b"hush"
    again = both.seal(b"hush", "secrets.sealed:1")
    assert Vault(NEW).open(again, "secrets.sealed:1") == b"hush"
    with pytest.raises(UnsealError, match=r"secrets\.sealed:1"):
        Vault(OLD).open(again, "secrets.sealed:1")
    assert both.ids == (key_id(NEW), key_id(OLD))


def test_what_is_sealed_for_one_row_opens_in_no_other() -> None:
    vault = Vault(OLD)
    sealed = vault.seal(b"hush", "endpoints.headers:1")
    for row in ("endpoints.headers:2", "endpoints.sealed_url:1"):
        with pytest.raises(UnsealError):
            vault.open(sealed, row)


@pytest.mark.parametrize("at", [0, 2, 3, 6, 7, 18, 19, -1])
def test_what_was_changed_anywhere_does_not_open(at: int) -> None:
    vault = Vault(OLD)
    sealed = bytearray(vault.seal(b"hush", "row"))
    sealed[at] ^= 1
    with pytest.raises(UnsealError):
        vault.open(bytes(sealed), "row")


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 14, 18, 19, 34])
def test_what_was_cut_off_anywhere_does_not_open(length: int) -> None:
    vault = Vault(OLD)
    with pytest.raises(UnsealError):
        vault.open(vault.seal(b"hush", "row")[:length], "row")


def test_what_a_thread_seals_while_the_keys_are_replaced_opens() -> None:
    vault, both, ended = Vault(OLD), Vault(OLD, NEW), threading.Event()

    def replace() -> None:
        while not ended.is_set():
            vault.replace([NEW])
            vault.replace([OLD])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            replacing = pool.submit(replace)
            try:
                opened = {both.open(vault.seal(b"hush", "row"), "row") for _ in range(2_000)}
            finally:
                ended.set()
            replacing.result()
    finally:
        sys.setswitchinterval(before)
    assert opened == {b"hush"}


def test_a_key_file_is_changed_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "x.key"
    write_keys(path, [OLD], new=True)
    left = tmp_path / "x.key.0a0b0c0d.part"
    left.write_bytes(b"of a process that was killed")
    with changing_keys(path):
        assert not left.exists()
        with pytest.raises(ConfigError, match="another hooktide keys"), changing_keys(path):
            pass
    with changing_keys(path):
        write_keys(path, [NEW, OLD])
    assert read_keys(path) == [NEW, OLD]


@pytest.mark.parametrize("nonce", [b"n" * 12, b"HK1" + b"n" * 9])
def test_what_was_sealed_before_keys_had_ids_still_opens(nonce: bytes) -> None:
    sealed = nonce + AESGCM(OLD).encrypt(nonce, b"hush", None)
    assert Vault(NEW, OLD).open(sealed, "row") == b"hush"
    with pytest.raises(UnsealError):
        Vault(NEW).open(sealed, "row")


def test_the_first_start_makes_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "made.key"
    assert load_vault(path).ids == load_vault(path).ids
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [len(key) for key in read_keys(path)] == [KEY_BYTES]
    assert os.listdir(tmp_path) == ["made.key"]  # noqa: PTH208


def test_a_new_file_never_replaces_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "x.key"
    write_keys(path, [OLD], new=True)
    with pytest.raises(FileExistsError):
        write_keys(path, [NEW], new=True)
    assert read_keys(path) == [OLD]
    write_keys(path, [NEW, OLD])
    assert read_keys(path) == [NEW, OLD]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["x.key"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"not base64!", "key 1 is not 32 bytes"),
        (base64.b64encode(OLD) + b"\n" + base64.b64encode(b"short"), "key 2 is not 32 bytes"),
    ],
)
def test_a_file_that_holds_no_keys_is_refused_and_says_what_to_do(
    tmp_path: Path, text: bytes, says: str
) -> None:
    path = tmp_path / "x.key"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=says) as refused:
        load_vault(path)
    assert "backup" in str(refused.value)
    assert path.read_bytes() == text


def test_a_key_that_has_never_sealed_is_marked_and_opens(tmp_path: Path) -> None:
    path = tmp_path / "x.key"
    write_keys(path, [OLD, NEW], added=NEW, new=True)
    assert (read_keys(path), added_key(path)) == ([OLD, NEW], NEW)
    write_keys(path, [NEW, OLD])
    assert (read_keys(path), added_key(path)) == ([NEW, OLD], None)


def test_derived_keys_differ_by_purpose_and_key() -> None:
    one, other = Vault(NEW, OLD).derived(b"links"), Vault(NEW, OLD).derived(b"cursors")
    assert len({*one, *other, NEW, OLD}) == 6
    assert Vault(OLD).derived(b"links") == one[1:]
