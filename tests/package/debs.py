"""Building and unpacking packages for tests, and reading unit files."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.deb_device import build_device

Lines = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class BuiltDeb:
    """A package, and what is in it as files."""

    path: Path
    version: str
    root: Path

    def field(self, name: str) -> str:
        """A field of its control file."""
        return output("dpkg-deb", "--field", str(self.path), name)


def build_unpacked(where: Path, version: str) -> BuiltDeb:
    """Build ``doorbell-device`` of a version and unpack it."""
    path = build_device(version, dist=where / "dist", work=where / "work")
    root = where / "root"
    output("dpkg-deb", "-x", str(path), str(root))
    return BuiltDeb(path, version, root)


def output(*command: str, **environment: str) -> str:
    """What a program writes to stdout; an ``AssertionError`` with its stderr if it fails."""
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def read_unit(path: Path) -> dict[str, Lines]:
    """The sections of a unit file with their lines in order; a key may stand there more than once."""
    sections: dict[str, Lines] = {}
    current: Lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            current.append((key, value))
    return sections


def values(lines: Lines, key: str) -> list[str]:
    """Every value of a key."""
    return [value for name, value in lines if name == key]
