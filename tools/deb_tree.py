"""A Debian binary package from a directory: permissions, check sums and times that do not depend on who builds it."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
BUILD = ROOT / "build" / "deb"
_DOC_COMPRESSION = 9
_FIELD_LIMIT = 80


class PackagingError(Exception):
    """The package cannot be built: what is missing and what to do."""


def source_date_epoch() -> int:
    """The time that every file of a package gets, in seconds: SOURCE_DATE_EPOCH, else that of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given) if given else int(_git("show", "--no-patch", "--format=%ct", "HEAD"))


def package_version(project_version: str) -> str:
    """``1.2.0`` for the commit tagged ``v1.2.0``; before it ``1.2.0~git<time>.<commit>``, which Debian sorts lower.

    What is built with changes that nobody has committed says so.
    """
    dirty = ".dirty" if _git("status", "--porcelain", "--untracked-files=no") else ""
    if not dirty and f"v{project_version}" in _git("tag", "--points-at", "HEAD").split():
        return project_version
    stamp = _git("show", "--no-patch", "--format=%cd", "--date=format:%Y%m%d%H%M%S", "HEAD")
    return f"{project_version}~git{stamp}.{_git('rev-parse', '--short=8', 'HEAD')}{dirty}"


class DebTree:
    """The files of a package while they are gathered in ``path``, which is emptied first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)

    def write(self, name: str, data: bytes | str, *, executable: bool = False) -> None:
        """Put a file at the absolute path ``name`` of the target system."""
        target = self.path / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        target.chmod(0o755 if executable else 0o644)

    def write_compressed(self, name: str, data: str) -> None:
        """Put a document, compressed as Debian wants changelogs and manual pages; ``name`` gets ``.gz``."""
        self.write(f"{name}.gz", gzip.compress(data.encode(), _DOC_COMPRESSION, mtime=0))

    def build(self, control: str, scripts: dict[str, str], out: Path) -> None:
        """Write the package. ``control``: its fields, in which ``@SIZE@`` is replaced; ``scripts``: by name."""
        epoch = str(source_date_epoch())
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(self.path)}\n" for path in files]  # noqa: S324 - dpkg's format
        size_kib = sum(-(-path.stat().st_size // 1024) for path in files)
        self.write("/DEBIAN/control", control.replace("@SIZE@", str(size_kib)))
        self.write("/DEBIAN/md5sums", "".join(sums))
        for name, text in scripts.items():
            self.write(f"/DEBIAN/{name}", text, executable=True)
        for directory in (self.path, *(path for path in self.path.rglob("*") if path.is_dir())):
            directory.chmod(0o755)  # whatever the builder's umask
        out.parent.mkdir(exist_ok=True)
        run("dpkg-deb", "-Zxz", "--root-owner-group", "--build", str(self.path), str(out), SOURCE_DATE_EPOCH=epoch)


def run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """Run a program and give its output; ``PackagingError`` with its last lines if it fails or is not installed."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise PackagingError(f"{command[0]} is not installed; make deb-deps installs it on Debian") from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise PackagingError(f"{' '.join(command)[:_FIELD_LIMIT]} … failed:\n{last}")
    return done.stdout


def _git(*arguments: str) -> str:
    return run("git", *arguments, cwd=ROOT).strip()
