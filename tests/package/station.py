"""The relay's machine for tests: a Debian with what the page wants from it, and the wheels that it would download."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from packaging.markers import Marker

from tests.package.debian_root import CACHE, ROOT, BootedDebian, DebianRoot, alone, equipped_root
from tests.package.debs import output
from tests.system.processes import until

LOCK = ROOT / "requirements-relay.lock"
SOURCE, WHEELS = "/srv/source", "/srv/wheels"
PACKAGES = ("python3-venv", "mosquitto", "caddy", "curl", "procps")
"""What ``apt-get`` would bring while the page is followed, for a machine of the tests has no network; and what every
real Debian has."""
OFFLINE = ("env", "PIP_NO_INDEX=1", f"PIP_FIND_LINKS={WHEELS}")


PATH = "/srv/shims:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHIMS = {
    "sudo": 'exec "$@"',
    "apt-get": "exit 0  # it is there",
    "editor": """case $1 in
  *neighbourhood.toml) cp /srv/register.toml "$1" ;;
  *Caddyfile) sed -i 's/# tls internal/tls internal/' "$1" ;;
  *) exit 1 ;;
esac""",
}
"""Programs that do what the person at the keyboard would."""
PAGE = ROOT / "docs" / "install-relay.md"
PASSPHRASE = " --root-passphrase-file /srv/passphrase"
"""The terminal would be asked for it."""


def commands(section: str) -> list[str]:
    """What the page's section with this title says to type, line by line."""
    parts = re.split(r"^## (?:\d )?(.+?) · .+$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    text = dict(zip(parts[1::2], parts[2::2], strict=True))[section]
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


class Station:
    """The relay's machine, booted."""

    def __init__(self, root: DebianRoot, machine: BootedDebian) -> None:
        self.root = root
        self.machine = machine

    def type(self, line: str, source: str = SOURCE) -> str:
        """A line at the keyboard, in the folder of the sources; what it says. A service that has just been started is
        asked until it answers."""
        shell = (*OFFLINE, f"PATH={PATH}", "LANG=zh_CN.UTF-8", "sh", "-c", f"cd {source} && {line}")
        if line.startswith("curl"):
            return until(lambda: self.machine.ask(*shell), f"{line} is answered")
        return self.machine.run(*shell)

    def follow(self, section: str) -> str:
        """Type what a section of the page says."""
        return "".join(self.type(line + PASSPHRASE * ("authority create" in line)) for line in commands(section))

    def journal(self, unit: str) -> str:
        """All that a unit has said."""
        return self.machine.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")


@contextmanager
def booted_station(where: Path, register: str) -> Iterator[Station]:
    """A Debian 13 on which nothing of ours is, but the sources, the wheels, and what a person has in the head."""
    with bare_station(where) as (root, options):
        root.inside("/srv/shims").mkdir()
        for name, body in SHIMS.items():
            (shim := root.inside(f"/srv/shims/{name}")).write_text(f"#!/bin/sh\n{body}\n", "utf-8")
            shim.chmod(0o755)
        root.inside("/srv/register.toml").write_text(register, "utf-8")
        (passphrase := root.inside("/srv/passphrase")).write_text("correct horse battery\n", "utf-8")
        passphrase.chmod(0o600)
        with root.booted(*options) as machine:
            yield Station(root, machine)


@contextmanager
def bare_station(where: Path) -> Iterator[tuple[DebianRoot, list[str]]]:
    """A Debian 13 on which nothing of ours is; and options for its boot, by which it sees sources and wheels."""
    with equipped_root(where, *PACKAGES) as root:
        wheels = _wheels(root.run("python3", "--version").split()[1])
        for place in (SOURCE, WHEELS):
            root.inside(place).mkdir()
        yield root, [f"--bind-ro={ROOT}:{SOURCE}", f"--bind-ro={wheels}:{WHEELS}"]


def _wheels(python: str) -> Path:
    """Those of the lock for another Python, downloaded once."""
    wanted = _locked_for(python)
    below = CACHE / f"wheels-{python}-{sha256(wanted.encode()).hexdigest()[:12]}"
    with alone("wheels"):
        if not below.exists():
            unfinished = below.with_name("unfinished-wheels")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            (unfinished / "wanted.txt").write_text(wanted, "utf-8")
            output(
                sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps",
                "--only-binary=:all:", f"--python-version={python}", f"--dest={unfinished}",
                f"--requirement={unfinished / 'wanted.txt'}",
            )  # fmt: skip
            unfinished.rename(below)
    return below


def _locked_for(python: str) -> str:
    """The lock's entries for a Python. pip asks its own for the markers, whatever version it downloads for."""
    entries = re.split(r"^(?=\w)", LOCK.read_text("utf-8"), flags=re.MULTILINE)
    short = ".".join(python.split(".")[:2])
    kept = []
    for entry in filter(None, entries):
        head, line, hashes = entry.partition(" \\\n")
        pin, _, marker = head.partition(" ; ")
        if not marker or Marker(marker).evaluate({"python_full_version": python, "python_version": short}):
            kept.append(pin + line + hashes)
    return "".join(kept)
