"""Files that are there whole or not at all, and that only their owner reads unless it is said otherwise.

Made by root, a file belongs to whoever owns its folder: the relay and the broker run under accounts of their own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from doorbell.folders import sync_folder

SECRET = 0o600
READABLE = 0o644
SECRET_FOLDER = 0o700


def write_whole(path: Path, content: bytes, mode: int = SECRET, owner: os.stat_result | None = None) -> None:
    """Put the file in the place of what was there, durably: after a power cut it is the old one or the new one.

    ``owner``: whose it is to be, if not whose the folder is.
    """
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    _write_new(part, content, mode, owner)
    part.replace(path)
    sync_folder(path.parent)


def link_whole(path: Path, target: str) -> None:
    """Put a symbolic link in the place of what was there, durably, in one step."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.replace(path)
    sync_folder(path.parent)


def make_folder_whole(path: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder with these files. ``FileExistsError`` if there is anything in its place."""
    if path.exists() or path.is_symlink():
        raise FileExistsError(path)
    part = path.with_name(f".{path.name}.part")
    if part.is_dir():  # left behind by a power cut
        for left in part.iterdir():
            left.unlink()
        part.rmdir()
    part.mkdir(SECRET_FOLDER, parents=True)
    for name, content in files.items():
        _write_new(part / name, content, SECRET)
    sync_folder(part)
    part.rename(path)
    sync_folder(path.parent)


def append_whole(path: Path, after: int, line: bytes) -> None:
    """Add to a file, durably. What it has beyond ``after`` bytes was never finished, and is cut off."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, SECRET), "r+b") as file:  # noqa: PTH123 - Path.open knows no mode
        give_away(file.fileno(), path)
        file.truncate(after)
        file.seek(after)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def make_private(folder: Path) -> None:
    """Nobody but its owner may look into it."""
    folder.chmod(SECRET_FOLDER)


def give_away(fd: int, path: Path, owner: os.stat_result | None = None) -> None:
    """Where root has opened a file: to ``owner``, or to whoever owns its folder."""
    if os.geteuid() == 0:
        of = owner or path.parent.stat()
        os.fchown(fd, of.st_uid, of.st_gid)


def _write_new(path: Path, content: bytes, mode: int, owner: os.stat_result | None = None) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123 - as above
        give_away(file.fileno(), path, owner)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
