"""Where a card's files go: the boot partition of a card, a new folder, or a tar."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from doorbell.folders import sync_folder
from relay.card import FOLDER
from relay.texts import provisioning as say
from relay.texts.refusal import RefusalError
from relay.whole_files import READABLE, SECRET, SECRET_FOLDER, write_whole

PI_OS = ("config.txt", "cmdline.txt")
"""By which the boot partition of a Raspberry Pi OS is known."""
PACKAGES = f"{FOLDER}/packages"
_SECRETS = ("key.pem", "network-config")


def check_place(to: Path) -> None:
    """``RefusalError`` unless a card can be written there: nothing that is there is written over but a blank card."""
    if to.is_dir() and all((to / name).is_file() for name in PI_OS):
        if (to / FOLDER).exists():
            raise RefusalError(say.CARD_IS_USED, path=to)
        return
    if to.exists() or to.is_symlink():
        raise RefusalError(say.PLACE_EXISTS, path=to)
    if not to.parent.is_dir():
        raise RefusalError(say.NO_FOLDER, path=to.parent)


def write_card(to: Path, made: Mapping[str, bytes], packages: Sequence[Path]) -> None:
    """Write a card there, whole. ``RefusalError`` with what is the matter."""
    check_place(to)
    try:
        if to.suffix == ".tar":
            _write_tar(to, made, packages)
        elif to.is_dir():
            _write_files(to, made, packages)
        else:
            part = to.with_name(f".{to.name}.part")
            shutil.rmtree(part, ignore_errors=True)  # left behind by a power cut
            part.mkdir(SECRET_FOLDER)
            _write_files(part, made, packages)
            part.rename(to)
            sync_folder(to.parent)
    except OSError as error:
        raise RefusalError(say.NOT_WRITTEN, path=to, reason=error.strerror) from None


def _write_files(to: Path, made: Mapping[str, bytes], packages: Sequence[Path]) -> None:
    (to / PACKAGES).mkdir(mode=SECRET_FOLDER, parents=True)
    for package in packages:
        write_whole(to / PACKAGES / package.name, package.read_bytes(), READABLE)
    for name, content in made.items():
        write_whole(to / name, content, _mode(name))


def _write_tar(to: Path, made: Mapping[str, bytes], packages: Sequence[Path]) -> None:
    part = to.with_name(f".{to.name}.part")
    with (
        open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, SECRET), "wb") as file,  # noqa: PTH123 - mode
        tarfile.open(fileobj=file, mode="w") as tar,
    ):
        for package in packages:
            _add(tar, f"{PACKAGES}/{package.name}", package.read_bytes(), READABLE)
        for name, content in made.items():
            _add(tar, name, content, _mode(name))
        tar.close()
        file.flush()
        os.fsync(file.fileno())
    part.rename(to)
    sync_folder(to.parent)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.uname, member.gname = len(content), mode, "root", "root"
    tar.addfile(member, io.BytesIO(content))


def _mode(name: str) -> int:
    return SECRET if name.rpartition("/")[2] in _SECRETS else READABLE


def find_packages(places: Sequence[Path]) -> tuple[Path, ...]:
    """The ``.deb`` files, of folders all. ``RefusalError`` for what is not there, or of which none is the device's."""
    found: list[Path] = []
    for place in places:
        inside = sorted(place.glob("*.deb")) if place.is_dir() else [place]
        if not inside or not all(one.is_file() for one in inside):
            raise RefusalError(say.NO_PACKAGE, path=place)
        found += inside
    ours = [one.name for one in found if one.name.startswith("doorbell-device_")]
    if len(ours) != 1:
        raise RefusalError(say.WHICH_PACKAGE, count=len(ours), names=", ".join(ours))
    return tuple(found)
