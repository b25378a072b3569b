"""The audit log's head, noted outside of the database: else nobody could see that the newest lines are missing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.audit import EMPTY, AuditHead, parse_head

_WIDTH = 128
"""Bytes of the file, always the same ones written anew: less than a sector of a disk, which is written whole."""


def note_head(path: Path, head: AuditHead, *, whatever_was: bool = False) -> None:
    """Note a head, unless a newer one is noted; ``whatever_was``: even then, after a restore. Raises ``OSError``.

    Made by root, the file belongs to whoever owns the folder: the pages run under another account than a technician.
    """
    with _locked(path) as fd:
        if whatever_was or _read(fd).seq < head.seq:
            os.pwrite(fd, f"{head}\n".ljust(_WIDTH).encode("ascii"), 0)
            os.fsync(fd)


def read_head(path: Path) -> AuditHead | None:
    """The head that is noted; None if there is no such file. Raises ``OSError``; ``ValueError`` for rubbish."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = "?"
    head = parse_head(text)
    if head is None and text.strip():
        raise ValueError(f"{path}: not a head of an audit log")
    return head


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        owner = path.parent.stat()
        if os.geteuid() == 0 and os.fstat(fd).st_uid != owner.st_uid and os.fstat(fd).st_size == 0:
            os.fchown(fd, owner.st_uid, owner.st_gid)
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def _read(fd: int) -> AuditHead:
    return parse_head(os.pread(fd, _WIDTH, 0).decode("ascii", "replace")) or EMPTY
