"""The proof of the disk: a page is written and read back, and a refusal is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device.adapters.disk import prove_disk
from device.ports import StoreError


def test_the_proof_of_the_disk_leaves_nothing_and_tells_a_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_disk(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="No such file"):
        prove_disk(tmp_path / "none")
    monkeypatch.setattr(os, "fsync", _no_room)
    with pytest.raises(StoreError, match="No space left"):
        prove_disk(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_gives_back_something_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _path: bytes(4_096))
    with pytest.raises(StoreError, match="not what was read"):
        prove_disk(tmp_path)


def _no_room(_fd: int) -> None:
    raise OSError(28, os.strerror(28))
