"""Builds dist/python3-lgpio_VERSION_ARCH.deb for plain Debian 13 from the pinned sdist: ``make deb-lgpio``.

Raspberry Pi OS has python3-lgpio in its own archive, with a higher version than ours, so it is preferred there. Debian
has none, and there is no wheel for its Python 3.13. A C compiler for the target and SWIG make it here, so that nothing
is compiled on a Pi. The headers of Python 3.13 are taken from Debian's own archive, by an apt that has nothing to do
with this machine's.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.deb_tree import BUILD, DIST, ROOT, DebTree, PackagingError, run

REVISION = "0doorbell1"
"""Lower than Raspberry Pi's 1~rpt1: where both are offered, theirs is taken."""
PYTHON = "3.13"
SUITE = "trixie"
DIST_PACKAGES = "/usr/lib/python3/dist-packages"
_WORK = ROOT / "build" / "lgpio"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of machine: its compiler and how CPython names it."""

    compiler: str
    triplet: str


TARGETS = {
    "arm64": Target("aarch64-linux-gnu-gcc", "aarch64-linux-gnu"),
    "amd64": Target("x86_64-linux-gnu-gcc", "x86_64-linux-gnu"),
}

_CONTROL = """\
Package: python3-lgpio
Version: {version}
Architecture: {arch}
Maintainer: Love Doorbell developers
Installed-Size: @SIZE@
Section: python
Priority: optional
Depends: libc6 (>= {libc}), python3 (>= {python}~), python3 (<< {next}~)
Description: access to the pins of a Raspberry Pi by the GPIO character device
 lgpio for Debian's Python {python}, built without a change. On Raspberry Pi OS
 take the package of the same name from there.
"""
_COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: lgpio
Comment: built from the source distribution without a change

Files: *
Copyright: Joan N.M.
License: Unlicense
 Given to the public domain by its author; the licence as it came with the
 sources is in the file LICENSE beside this one.
"""


def main(arguments: list[str] | None = None) -> int:
    """Build for the kinds of machine named (both without) and print the paths."""
    parser = argparse.ArgumentParser(prog="make deb-lgpio", description=__doc__)
    parser.add_argument("arch", nargs="*", metavar=" | ".join(TARGETS), help="both without")
    options = parser.parse_args(arguments)
    try:
        for arch in options.arch or TARGETS:
            if arch not in TARGETS:
                raise PackagingError(f"{arch}: known are {', '.join(TARGETS)}")
            print(build_lgpio(arch))
    except PackagingError as error:
        print(f"make deb-lgpio: {error}", file=sys.stderr)
        return 1
    return 0


def build_lgpio(arch: str) -> Path:
    """Build for one kind of machine; returns where the package lies."""
    target = TARGETS[arch]
    source = _source()
    headers = _headers(arch)
    objects = _WORK / arch
    objects.mkdir(parents=True, exist_ok=True)
    library = objects / f"_lgpio.cpython-{PYTHON.replace('.', '')}-{target.triplet}.so"
    run("swig", "-python", "-outdir", str(objects), "-o", str(objects / "lgpio_wrap.c"), "lgpio.i", cwd=source)
    run(
        target.compiler, "-shared", "-fPIC", "-O2", "-pthread", "-w", "-g0", f"-ffile-prefix-map={ROOT}=.",
        *(f"-I{path}" for path in (headers / f"python{PYTHON}", headers, source, source / "src")),
        "-o", str(library), str(objects / "lgpio_wrap.c"),
        *map(str, sorted((source / "src").glob("lg*.c"))), str(source / "src" / "rgpiod.c"), "-lrt",
    )  # fmt: skip
    upstream = _pinned()
    version = f"{upstream.removesuffix('.0')}-{REVISION}"
    tree = DebTree(BUILD / f"python3-lgpio-{arch}")
    tree.write(f"{DIST_PACKAGES}/{library.name}", library.read_bytes())
    tree.write(f"{DIST_PACKAGES}/lgpio.py", (objects / "lgpio.py").read_bytes())
    fields = f"Metadata-Version: 2.1\nName: lgpio\nVersion: {upstream}\n"
    tree.write(f"{DIST_PACKAGES}/lgpio-{upstream}.dist-info/METADATA", fields)
    tree.write("/usr/share/doc/python3-lgpio/copyright", _COPYRIGHT)
    tree.write("/usr/share/doc/python3-lgpio/LICENSE", (source / "LICENSE").read_bytes())
    major, minor = PYTHON.split(".")
    control = _CONTROL.format(
        version=version, arch=arch, libc=_libc_needed(library), python=PYTHON, next=f"{major}.{int(minor) + 1}"
    )
    out = DIST / f"python3-lgpio_{version}_{arch}.deb"
    tree.build(control, {}, out)
    return out


def _pinned() -> str:
    pin = re.search(r"^lgpio==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    if pin is None:
        raise PackagingError("requirements.lock pins no lgpio")
    return pin[1]


def _source() -> Path:
    """The unpacked source distribution, compared with the hashes of the lock."""
    upstream = _pinned()
    unpacked = _WORK / f"lgpio-{upstream}"
    if unpacked.is_dir():
        return unpacked
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entry = re.search(r"^lgpio==.*?(?=^\w)", lock, re.MULTILINE | re.DOTALL)
    if entry is None:
        raise PackagingError("requirements.lock pins no lgpio")
    _WORK.mkdir(parents=True, exist_ok=True)
    wanted = _WORK / "lgpio.lock"
    wanted.write_text("\n".join(line for line in entry[0].splitlines() if not line.lstrip().startswith("#")) + "\n")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(
        *pip, "download", "--require-hashes", "--no-deps", "--no-binary", "lgpio", "--no-build-isolation",
        "--dest", str(_WORK), "--requirement", str(wanted),
    )  # fmt: skip
    # Not tarfile: Debian 12's Python 3.11.2 cannot be told to refuse what lies outside. The archive's hash is locked.
    run("tar", "--extract", "--gzip", "--file", str(_WORK / f"lgpio-{upstream}.tar.gz"), "--directory", str(_WORK))
    return unpacked


def _headers(arch: str) -> Path:
    """The include directory of Debian 13's Python for a kind of machine."""
    unpacked = _WORK / f"headers-{arch}"
    include = unpacked / "usr" / "include"
    if not include.is_dir():
        environment = _private_apt()
        run("apt-get", "-qq", "update", APT_CONFIG=environment)
        package = f"libpython{PYTHON}-dev"
        run("apt-get", "-qq", "download", f"{package}:{arch}", cwd=_WORK, APT_CONFIG=environment)
        (deb,) = _WORK.glob(f"{package}_*_{arch}.deb")
        run("dpkg-deb", "-x", str(deb), str(unpacked))
        deb.unlink()
    return include


def _private_apt() -> str:
    """An apt configuration that knows Debian 13 and nothing of this machine; returns the file's path."""
    mirror = run(str(ROOT / "tools" / "debian-mirror.sh")).strip()
    apt = _WORK / "apt"
    for directory in ("lists/partial", "cache/archives/partial"):
        (apt / directory).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [arch=amd64,arm64 signed-by={_KEYRING}] {mirror} {SUITE} main\n")
    config = apt / "conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{apt}/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Cache "{apt}/cache";\n'
        f'Dir::State::lists "{apt}/lists"; Dir::State::status "{apt}/status"; APT::Sandbox::User "root";\n'
        'APT::Architecture "amd64"; APT::Architectures { "amd64"; "arm64"; };\n'
    )
    return str(config)


def _libc_needed(library: Path) -> str:
    """The newest glibc whose symbols the library uses."""
    found = re.findall(r"GLIBC_(\d+)\.(\d+)", run("readelf", "--version-info", "--wide", str(library)))
    major, minor = max((int(a), int(b)) for a, b in found)
    return f"{major}.{minor}"


if __name__ == "__main__":
    raise SystemExit(main())
