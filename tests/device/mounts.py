"""Real small file systems for tests that spoil them: full, read-only, cut off. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KINDS = ("tmpfs", "ext4")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
_IMAGE_BYTES = 8 * 1024 * 1024


class Mount:
    """A file system at ``path``."""

    def __init__(self, kind: str, path: Path, image: Path) -> None:
        self.kind, self.path, self.image = kind, path, image

    def fill(self) -> None:
        """Leave not a byte for any file."""
        fd = os.open(self.path / "ballast", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            for size in (65_536, 4_096, 512, 1):
                try:
                    while os.write(fd, b"x" * size):
                        pass
                except OSError:
                    continue
        finally:
            os.close(fd)

    def make_room(self) -> None:
        (self.path / "ballast").unlink()

    def remount(self, how: str) -> None:
        """``ro``, ``rw``, or ``abort``: ext4 behaves as after an error of the disk."""
        _run("mount", "-o", f"remount,{how}", str(self.path))

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Whoever writes waits until it is over."""
        _run("fsfreeze", "--freeze", str(self.path))
        try:
            yield
        finally:
            _run("fsfreeze", "--unfreeze", str(self.path))

    def cut(self, image: Path) -> None:
        """What is on the disk if the power goes now: what the kernel still holds in memory is not in the image."""
        shutil.copyfile(self.image, image)


@contextmanager
def mounted(kind: str, path: Path, image_bytes: int = _IMAGE_BYTES) -> Iterator[Mount]:
    """A new file system of 8 MB (tmpfs: 1 MB) or more at ``path``, gone at the end."""
    path.mkdir(parents=True, exist_ok=True)
    image = path.with_name(f"{path.name}.img")
    if kind == "tmpfs":
        _run("mount", "-t", "tmpfs", "-o", "size=1m", "doorbell-test", str(path))
    else:
        with image.open("wb") as file:
            file.truncate(image_bytes)
        _run("mkfs.ext4", "-q", "-b", "1024", "-J", "size=1", "-m", "0", str(image))
        _run("mount", "-o", "loop", str(image), str(path))
    try:
        yield Mount(kind, path, image)
    finally:
        _run("umount", "-l", str(path))


@contextmanager
def mounted_image(image: Path, path: Path) -> Iterator[Path]:
    """After the power came back: the journal is played, what it says is there."""
    path.mkdir(parents=True, exist_ok=True)
    _run("mount", "-o", "loop", str(image), str(path))
    try:
        yield path
    finally:
        _run("umount", str(path))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr.strip()} (is everything of `make test-deps` there?)")
