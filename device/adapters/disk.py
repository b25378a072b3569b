"""The proof of the outbox's disk: what the self-test and the doctor do to it, beside the daemon that owns it."""

from __future__ import annotations

import os
from pathlib import Path

from device.ports import StoreError


def prove_disk(directory: Path) -> None:
    """Write a page beside the outbox, force it to the disk, read it back, delete it. Raises ``StoreError``."""
    path, page = directory / "selftest.tmp", os.urandom(4_096)
    try:
        try:
            with path.open("wb") as file:
                file.write(page)
                file.flush()
                os.fsync(file.fileno())
            read = path.read_bytes()
        finally:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{directory}: {error.strerror or error}") from error
    if read != page:
        raise StoreError(f"{directory}: what was written is not what was read")
