"""Makes the virtual Pi: a Debian root with our package in it, a kernel that has gpio-sim, and the machine booted.

    python -m tests.virtual_pi.build [--quiet] [DEB...]

Three parts, each kept outside the repository under a name that is a hash of what it is made of:

* ``base``: Debian 13 as mmdebstrap makes it, and the kernel's packages from backports. None of what our package needs
  is in it: that must come by the package's own dependencies.
* ``image``: the base with our packages installed by apt, what only the tests need, modules, an initramfs, as a disk.
* ``ready``: that disk with two snapshots of the machine booted from it. One goes on within a second or two.

Needs root, and what ``make virtual-pi-deps`` installs.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.processes import until
from tests.virtual_pi.disk import FileDisk, make_state_disk
from tests.virtual_pi.house import BELL_SIDE, LONG_S, PANEL_SIDE, House
from tests.virtual_pi.image import BROUGHT, Flashed, make_image
from tests.virtual_pi.machine import ARMED, READY, Machine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FETCH_KERNEL = HERE / "fetch-kernel.sh"
SUITE, KERNEL_SUITE, KERNEL = "trixie", "trixie-backports", "linux-image-amd64"
"""Debian's kernels have gpio-sim from 7.0 on, so for this suite only backports have it (not the cloud flavour)."""
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "e2fsprogs"),
    "busybox-static",  # the initramfs
    "qemu-guest-agent",  # our way in
)
BLANK = (
    *("cloud-init", "netplan.io", "wpasupplicant", "openssh-server", "nftables", "dosfstools"),
    *("python3", "alsa-utils", "openssl"),
)
"""What Raspberry Pi OS Lite has and a small Debian has not; beside these, ``python3-lgpio``."""
DISK, STATE = "root.qcow2", "state.img"
KEEP = 2
"""Parts of one kind that are kept: this one and the one before, for who goes back and forth between branches."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a finished machine lies. ``times``: seconds that each part took now; a part that was there is not in it."""

    image: Path
    """A directory: kernel, initramfs, root disk."""
    ready: Path
    """The root disk with the snapshots of the booted machine in it."""
    state: Path
    """The state disk that belongs to the snapshot ``ARMED``."""
    times: dict[str, float]


@dataclass(frozen=True, slots=True)
class Blank:
    """A machine for a card, which brings it these packages: ours, and all that ours needs and is not there."""

    image: Path
    """A directory: kernel, initramfs, root disk."""
    packages: tuple[Path, ...]


def cache_dir() -> Path:
    """The directory of everything that is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "love-doorbell" / "virtual-pi"


def build(debs: Sequence[Path] = (), say: Callable[[str], None] = print) -> Parts:
    """The machine with these packages in it (none: made by ``make``); what is there already is not made again."""
    cache, times = cache_dir(), dict[str, float]()
    cache.mkdir(parents=True, exist_ok=True)

    def part(kind: str, key: str, make: Callable[[Path], None]) -> Path:
        return _part(kind, key, make, say, times)

    with _alone(cache, say):
        debs = [*debs] or _our_packages(say, times)
        mirror = _mirror()
        base_key = _base_key(mirror)
        base = part("base", base_key, lambda path: _make_base(path, mirror))
        inside = sorted(path for path in (HERE / "inside").rglob("*") if path.is_file())
        image_key = _hash(base_key, *map(_content_of, debs), *inside, HERE / "image.py")
        image = part("image", image_key, lambda path: make_image(base, debs, HERE / "inside", path))
        ready_key = _hash(image_key, *(HERE / name for name in ("machine.py", "build.py", "disk.py")))
        ready = part("ready", ready_key, lambda path: _boot_once(image, path))
    return Parts(image, ready / DISK, ready / STATE, times)


def _part(
    kind: str, key: str, make: Callable[[Path], None], say: Callable[[str], None], times: dict[str, float]
) -> Path:
    """A part from the cache, made if it is not there."""
    cache = cache_dir()
    path = cache / f"{kind}-{key}"
    if not path.exists():
        say(f"virtual pi: making {kind} ...")
        began = time.monotonic()
        unfinished = cache / f"{kind}.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        make(unfinished)
        unfinished.rename(path)
        times[kind] = time.monotonic() - began
        say(f"virtual pi: {kind} made in {times[kind]:.0f} s")
        _forget_old(cache, kind)
    os.utime(path)
    return path


def _base_key(mirror: str) -> str:
    return _hash(SUITE, KERNEL_SUITE, KERNEL, *PACKAGES, mirror, FETCH_KERNEL)


def build_blank(say: Callable[[str], None] = print) -> Blank:
    """A machine as Raspberry Pi OS is flashed, without our package, and all that a card brings it."""
    cache, times = cache_dir(), dict[str, float]()
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache, say):
        device, lgpio = _our_packages(say, times)
        depends = _output("dpkg-deb", "--field", str(device), "Depends").decode().split(",")
        brought = sorted({one.split()[0] for one in depends} - {"python3-lgpio"})
        mirror = _mirror()
        base_key = _base_key(mirror)
        base = _part("base", base_key, lambda path: _make_base(path, mirror), say, times)
        inside = sorted(path for path in (HERE / "inside").rglob("*") if path.is_file())
        key = _hash(base_key, *BLANK, " ".join(brought), _content_of(lgpio), *inside, HERE / "image.py")
        flashed = Flashed(BLANK, brought)
        image = _part("blank", key, lambda path: make_image(base, [lgpio], HERE / "inside", path, flashed), say, times)
    return Blank(image, (device, *sorted((image / BROUGHT).glob("*.deb"))))


def _make_base(path: Path, mirror: str) -> None:
    """``root.tar`` and ``kernel/*.deb``."""
    _run(
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--architectures=amd64", "--skip=cleanup/apt"),
        "--aptopt=Acquire::Check-Valid-Until false",  # nor may the tests depend on this machine's clock
        f"--include={','.join(PACKAGES)}",
        f"--customize-hook={FETCH_KERNEL}",
        *(SUITE, str(path / "root.tar"), f"deb {mirror} {SUITE} main", f"deb {mirror} {KERNEL_SUITE} main"),
        env={"KERNEL": KERNEL, "KERNEL_SUITE": KERNEL_SUITE, "KERNEL_TO": str(path / "kernel")},
    )


def _boot_once(image: Path, path: Path) -> None:
    """Both snapshots, and the state disk as it was at ``ARMED``."""
    disk, state = path / DISK, path / STATE
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image / "root.ext4"), str(disk))
    make_state_disk(state)
    with Machine(image, disk, words="fstab=no") as machine:  # a boot would wait for the state disk
        machine.boot()
        machine.settle(LONG_S)
        machine.sh(f"systemctl stop {PANEL_SIDE.unit} {BELL_SIDE.unit}; sync")
        machine.save(READY)
        machine.go_on()
        machine.plug(FileDisk(state).node())
        house = House(machine)
        house.mount_state()
        machine.sh(f"systemctl start {PANEL_SIDE.unit}", within_s=LONG_S)
        until(lambda: house.logged(PANEL_SIDE, "link.refused"), "the panel runs and looks for its broker", LONG_S)
        machine.sh("sync")
        machine.save(ARMED)


def _our_packages(say: Callable[[str], None], times: dict[str, float]) -> list[Path]:
    began = time.monotonic()
    say("virtual pi: making our packages ...")
    own = {"MAKEFLAGS": ""}  # ARGS="--write" for the cuts was taken for an option of deb
    _run("make", "--no-print-directory", "deb", "ARGS=", cwd=ROOT, env=own)
    _run("make", "--no-print-directory", "deb-lgpio", "ARGS=amd64", cwd=ROOT, env=own)
    times["packages"] = time.monotonic() - began
    return [_newest("doorbell-device_*_all.deb"), _newest("python3-lgpio_*_amd64.deb")]


def _newest(pattern: str) -> Path:
    found = sorted((ROOT / "dist").glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit(f"there is no {pattern} in dist/ after it was made")
    return found[-1]


def _content_of(deb: Path) -> str:
    """What a package installs and runs, without its version, times and documentation: a commit is no new machine."""
    version = _output("dpkg-deb", "--field", str(deb), "Version").strip()
    told = []
    for part in ("--fsys-tarfile", "--ctrl-tarfile"):
        with tarfile.open(fileobj=io.BytesIO(_output("dpkg-deb", part, str(deb)))) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                content = b"" if file is None else file.read().replace(version, b"")
                name = member.name.replace(version.decode(), "")
                if name != "./md5sums" and not name.startswith("./usr/share/doc/"):
                    told.append(f"{name} {member.mode} {member.linkname} {hashlib.sha256(content).hexdigest()}")
    return "\n".join(sorted(told))


def _mirror() -> str:
    """The mirror that this machine's own apt uses."""
    asked = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    mirrors = asked.stdout.split()
    if not mirrors:
        raise SystemExit("apt names no mirror of Debian: add one to its sources and run apt-get update")
    return mirrors[0].rstrip("/")


def _forget_old(cache: Path, kind: str) -> None:
    parts = sorted(cache.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
    for old in parts[:-KEEP]:
        shutil.rmtree(old)


def _hash(*parts: str | Path) -> str:
    made_of = hashlib.sha256()
    for part in parts:
        raw = part.read_bytes() if isinstance(part, Path) else part.encode()
        made_of.update(hashlib.sha256(raw).digest())
    return made_of.hexdigest()[:16]


@contextmanager
def _alone(cache: Path, say: Callable[[str], None]) -> Iterator[None]:
    """One build at a time."""
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("virtual pi: another build is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _output(*command: str) -> bytes:
    return subprocess.run(command, capture_output=True, check=True).stdout


def _run(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(
            f"{' '.join(command[:3])} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
        )


def main() -> int:
    """Build, and say where it lies."""
    parser = argparse.ArgumentParser(description="Makes the virtual Pi, where it is not there yet.")
    parser.add_argument("debs", nargs="*", type=Path, help="packages to install instead of those that make makes")
    options = parser.parse_args()
    parts = build(options.debs, lambda line: print(line, file=sys.stderr, flush=True))
    print(parts.image)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
