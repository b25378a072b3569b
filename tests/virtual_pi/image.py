"""A base of Debian, our packages and a kernel become a disk that boots."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SIZE = "1200M"
BROUGHT = "packages"
BOOT_MODULES = ("virtio_blk", "ext4")
"""In the initramfs; virtio's bus is in the kernel."""
MODULES = (
    *BOOT_MODULES,
    *(
        "virtio_net",
        "virtio_console",
        "virtio_rng",
        "gpio-sim",
        "configfs",
        "snd-aloop",
        "autofs4",
        "fuse",
        "overlay",
        "binfmt_misc",
    ),
    *("softdog", "i6300esb", "efivarfs", "tun"),
    *("vfat", "nls_cp437", "nls_iso8859-1", "nls_ascii", "nls_utf8"),  # a card's boot partition
    *("nf_tables", "nft_ct", "mac80211_hwsim"),  # its firewall, and a radio for its Wi-Fi
)
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
modprobe -a virtio_blk ext4
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
mount -t ext4 /dev/vda /root || exec sh
mount --move /proc /root/proc
mount --move /sys /root/sys
mount --move /dev /root/dev
exec switch_root /root /sbin/init
"""
MACHINE_ID = "5ca1ab1e" * 4
OFF = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("e2scrub_reap.service", "getty@tty1.service", "systemd-timesyncd.service"),
)
"""What a Pi has and a test must not: downloads, and a clock that sets itself."""


@dataclass(frozen=True, slots=True)
class Flashed:
    """A machine for a card. ``names`` of Debian are in it; ``brought`` and all that needs is left beside the image."""

    names: Sequence[str]
    brought: Sequence[str]


def make_image(base: Path, debs: Sequence[Path], inside: Path, path: Path, flashed: Flashed | None = None) -> None:
    """``vmlinuz``, ``initrd.img`` and ``root.ext4`` in ``path``, and with ``flashed`` a folder ``BROUGHT``.
    ``inside``: files that are laid over the root.
    """
    with tempfile.TemporaryDirectory(prefix="virtual-pi-", dir=path.parent) as scratch:
        work = Path(scratch)
        root, kernel, boot = work / "root", work / "kernel", work / "boot"
        for directory in (root, kernel, boot):
            directory.mkdir()
        _run("tar", "-C", str(root), "-xf", str(base / "root.tar"))
        _install(root, debs, path, flashed)
        for deb in (base / "kernel").glob("*.deb"):
            _run("dpkg-deb", "-x", str(deb), str(kernel))
        modules = _Modules(kernel)
        shutil.copy(modules.directory / "vmlinuz", path / "vmlinuz")
        modules.copy(MODULES, root)
        _run("cp", "-a", f"{inside}/.", str(root))
        _settle(root, "blank.sh" if flashed else "settle.sh")
        _make_initramfs(root / "usr/bin/busybox", modules, boot, path / "initrd.img")
        _run("truncate", "-s", SIZE, str(path / "root.ext4"))
        _run("mke2fs", "-q", "-t", "ext4", "-F", "-d", str(root), str(path / "root.ext4"))


class _Modules:
    """The modules of an unpacked kernel."""

    def __init__(self, kernel: Path) -> None:
        (self.directory,) = (kernel / "usr/lib/modules").iterdir()
        self._version = self.directory.name
        _run("depmod", "-b", str(kernel / "usr"), self._version)
        self._needs: dict[str, list[str]] = {}
        for line in (self.directory / "modules.dep").read_text().splitlines():
            name, _, needs = line.partition(":")
            self._needs[_module_name(name)] = [name, *needs.split()]

    def copy(self, names: Iterable[str], root: Path) -> None:
        """These and all that they need, into a root; one that the kernel has built in needs no copying."""
        target = root / "usr/lib/modules" / self._version
        target.mkdir(parents=True, exist_ok=True)
        for index in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            shutil.copy(self.directory / index, target)
        for name in names:
            for file in self._needs.get(_module_name(name), []):
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.directory / file, target / file)
        _run("depmod", "-b", str(root / "usr"), self._version)


def _module_name(path: str) -> str:
    return re.sub(r"\.ko(\.\w+)?$", "", path.rsplit("/", maxsplit=1)[-1]).replace("-", "_")


def _install(root: Path, debs: Sequence[Path], path: Path, flashed: Flashed | None) -> None:
    """Our packages by apt, with whatever they depend on from Debian."""
    (root / "var/tmp/debs").mkdir()
    for deb in debs:
        shutil.copy(deb, root / "var/tmp/debs")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    apt = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
    names = " ".join([*(f"./{deb.name}" for deb in debs), *(flashed.names if flashed else ())])
    inside = f"mount -t proc proc /proc && mount -t devtmpfs dev /dev && cd /var/tmp/debs && {apt} {names}"
    if flashed:
        brought = root / "var/tmp/debs" / BROUGHT
        (brought / "partial").mkdir(parents=True)
        apt += f" --download-only -o Dir::Cache::archives=/var/tmp/debs/{BROUGHT}"
        inside += f" && {apt} {' '.join(flashed.brought)}"
    _run("unshare", "--mount", "--fork", "chroot", str(root), "/bin/sh", "-ec", inside)
    if flashed:
        (path / BROUGHT).mkdir()
        for deb in brought.glob("*.deb"):
            shutil.copy(deb, path / BROUGHT)
    shutil.rmtree(root / "var/tmp/debs")
    for emptied in ("var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / emptied)
        (root / emptied).mkdir()
    (root / "etc/resolv.conf").unlink()


def _settle(root: Path, script: str) -> None:
    """What an installer of cards does once: names, units, and no password for the console."""
    (root / "etc/hostname").write_text("virtual-pi\n")
    with (root / "etc/hosts").open("a") as hosts:
        hosts.write("127.0.1.1 virtual-pi\n")
    # Neither a first boot nor one after an update: both have systemd do over what has just been done.
    (root / "etc/machine-id").write_text(f"{MACHINE_ID}\n")
    for directory in ("etc", "var"):
        (root / directory / ".updated").touch()
    for unit in OFF:
        _run("systemctl", f"--root={root}", "mask", unit)
    _run("chroot", str(root), "/bin/sh", f"/usr/local/lib/virtual-pi/{script}")


def _make_initramfs(busybox: Path, modules: _Modules, boot: Path, initrd: Path) -> None:
    for name in ("bin", "proc", "sys", "dev", "root", "usr/lib"):
        (boot / name).mkdir(parents=True)
    (boot / "lib").symlink_to("usr/lib")
    shutil.copy(busybox, boot / "bin/busybox")
    modules.copy(BOOT_MODULES, boot)
    (boot / "init").write_text(INIT)
    (boot / "init").chmod(0o755)
    with initrd.open("wb") as file:
        _run("sh", "-c", "find . | cpio -o -H newc --quiet | gzip -1", cwd=boot, stdout=file.fileno())


def _run(*command: str, cwd: Path | None = None, stdout: int = subprocess.PIPE) -> None:
    done = subprocess.run(
        command, cwd=cwd, stdout=stdout, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    if done.returncode != 0:
        words = ((done.stdout or b"") + done.stderr).decode(errors="replace")[-3000:]
        raise SystemExit(f"{' '.join(command)[:200]} ended with {done.returncode}:\n{words}")
