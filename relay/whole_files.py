"""Files that are there whole or not at all, and that only their owner reads unless it is said otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from doorbell.folders import sync_folder

SECRET = 0o600
READABLE = 0o644
SECRET_FOLDER = 0o700


def write_whole(path: Path, content: bytes, mode: int = SECRET) -> None:
    """Put the file in the place of what was there, durably: after a power cut it is the old one or the new one."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    _write_new(part, content, mode)
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
        file.truncate(after)
        file.seek(after)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def make_private(folder: Path) -> None:
    """Nobody but its owner may look into it."""
    folder.chmod(SECRET_FOLDER)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123 - as above
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
