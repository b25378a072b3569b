"""Root directories of Debian 13 for tests: made by mmdebstrap once, kept outside the repository, a layer for each test.

Nothing here is a virtual machine: commands run in ``systemd-nspawn``, and a machine is booted in it with the real
systemd as process 1, in namespaces of its own and without a network.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.package.debs import BuiltDeb, output
from tests.system.processes import until
from tools.deb_lgpio import build_lgpio

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "love-doorbell"
SUITE = "trixie"
INCLUDED = ("systemd", "systemd-sysv", "udev", "dbus", "debian-archive-keyring")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_APT = 'APT::Sandbox::User "root"; APT::Keep-Downloaded-Packages "true";'
_BOOT_S = 60.0
_STOP_S = 30.0
_numbers = itertools.count()


class DebianRoot:
    """A Debian in a directory. Commands run in it by ``run``; ``booted`` starts its systemd."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *command: str, network: bool = False, options: Sequence[str] = ()) -> str:
        """Run a command in the root, with no systemd running; its output, an ``AssertionError`` if it fails.
        ``options`` go to systemd-nspawn."""
        common = [
            *self._nspawn(),
            "--as-pid2",
            "--console=pipe",
            "--setenv=DEBIAN_FRONTEND=noninteractive",
            "--setenv=LC_ALL=C.UTF-8",
        ]
        if not network:
            return output(*common, "--resolv-conf=off", "--private-network", *options, "--", *command)
        archives = CACHE / "archives"  # what was downloaded once is not downloaded again
        with alone("archives"):  # apt does not wait for another one's lock there
            archives.mkdir(exist_ok=True)
            kept = f"--bind={archives}:/var/cache/apt/archives"
            return output(*common, "--resolv-conf=replace-host", kept, *options, "--", *command)

    def put(self, source: Path, name: str = "") -> str:
        """Copy a file to /srv; returns its path inside."""
        target = self.path / "srv" / (name or source.name)
        shutil.copy(source, target)
        return f"/srv/{target.name}"

    def inside(self, path: str) -> Path:
        """A path of the root as seen from outside."""
        return self.path / path.lstrip("/")

    @contextmanager
    def booted(self, *options: str, network: bool = False, up_s: float = _BOOT_S) -> Iterator[BootedDebian]:
        """Its systemd as process 1, until the end of the block. ``options`` go to systemd-nspawn. ``network``: it has
        this machine's loopback, and may change nothing of it. ``up_s``: how long booting may take; 0: not waited for.
        """
        log = self.path.with_suffix(".boot.log")
        alone = () if network else ("--private-network",)
        with log.open("wb") as sink:
            spawned = subprocess.Popen(
                [*self._nspawn(), "--boot", "--console=pipe", "--resolv-conf=off", *alone, *options],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            )  # fmt: skip
        init = 0
        try:
            init = until(lambda: _init_of(spawned), f"systemd starts: {log}")
            machine = BootedDebian(init)
            if up_s:
                until(machine.is_up, f"systemd has booted: {log}", within_s=up_s)
            yield machine
        finally:
            _power_off(spawned, init)

    def _nspawn(self) -> list[str]:
        name = f"doorbell-{os.getpid()}-{next(_numbers)}"
        unregistered = ("--register=no", "--keep-unit")  # no systemd need run here
        return ["systemd-nspawn", "--quiet", f"--directory={self.path}", f"--machine={name}", *unregistered]


class BootedDebian:
    """A running systemd; ``init`` is its process."""

    def __init__(self, init: int) -> None:
        self._init = init

    def run(self, *command: str) -> str:
        """Run a command inside as root; its output, an ``AssertionError`` if it fails."""
        return output(*self._inside(), *command)

    def ask(self, *command: str) -> str:
        """The same, but whatever it ends with."""
        return subprocess.run([*self._inside(), *command], capture_output=True, text=True, check=False).stdout.strip()

    def complaint(self, *command: str) -> str:
        """What a command says on stderr that must fail."""
        done = subprocess.run([*self._inside(), *command], capture_output=True, text=True, check=False)
        assert done.returncode, f"{' '.join(command)}: {done.stdout}"
        return done.stderr.strip()

    @property
    def init(self) -> int:
        """Its process 1, by its pid here: whose namespaces are the machine's."""
        return self._init

    def cut(self) -> None:
        """Pull the plug: nobody inside is asked."""
        os.kill(self._init, signal.SIGKILL)

    def is_up(self) -> bool:
        """Whether booting is over, well or not."""
        return self.ask("systemctl", "is-system-running") in {"running", "degraded"}

    def unit(self, name: str, *properties: str) -> dict[str, str]:
        """Properties of a unit."""
        told = self.run("systemctl", "show", name, f"--property={','.join(properties)}")
        return dict(line.partition("=")[::2] for line in told.splitlines())

    def is_active(self, name: str) -> bool:
        """Whether a unit is active, which for ``Type=notify`` means that it has said READY."""
        return self.ask("systemctl", "is-active", name) == "active"

    def _inside(self) -> list[str]:
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        return ["nsenter", f"--target={self._init}", "--all", "--", *clean]


@contextmanager
def fresh_root(where: Path) -> Iterator[DebianRoot]:
    """A Debian 13 as mmdebstrap makes it: apt, systemd, udev, and no package of ours or for us."""
    with _layer(_fresh(), where) as root:
        yield root


@contextmanager
def prepared_root(where: Path, deb: BuiltDeb, *more: str) -> Iterator[DebianRoot]:
    """The same with everything that ``deb`` depends on, but not ``deb`` itself; and ``more`` packages."""
    depends = [item.split()[0] for item in deb.field("Depends").split(", ") if not item.startswith("python3-lgpio")]
    recipe = (ROOT / "tools" / "deb_lgpio.py").read_text(encoding="utf-8")
    with equipped_root(where, *depends, *more, ours=lgpio_deb, recipe=recipe) as root:
        yield root


@contextmanager
def equipped_root(
    where: Path, *packages: str, ours: Callable[[], Path] | None = None, recipe: str = ""
) -> Iterator[DebianRoot]:
    """A fresh root with packages of Debian's, and one of our own that ``recipe`` tells apart from others."""
    below = CACHE / f"prepared-{SUITE}-{_digest(SUITE, *INCLUDED, *packages, *filter(None, [recipe]))}"
    with alone("prepared"):
        if not below.exists():
            with fresh_root(where.with_name("preparing")) as root:
                wanted = (*packages, root.put(ours())) if ours else packages
                root.run("apt-get", "-q", "update", network=True)
                root.run("apt-get", "install", "-qy", "--no-install-recommends", *wanted, network=True)
                _keep(root.path, below)
    with _layer(below, where) as root:
        yield root


def lgpio_deb() -> Path:
    """Our python3-lgpio for this machine's kind, built once."""
    with alone("lgpio"):
        return build_lgpio(output("dpkg", "--print-architecture"))


def _fresh() -> Path:
    below = CACHE / f"debian-{SUITE}-{_digest(SUITE, *INCLUDED)}"
    with alone("debian"):
        if not below.exists():
            mirror = output(str(ROOT / "tools" / "debian-mirror.sh"))
            unfinished = below.with_name("unfinished-" + below.name)
            shutil.rmtree(unfinished, ignore_errors=True)
            output(
                "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(INCLUDED)}",
                "--format=directory", f"--aptopt={_APT}", SUITE, str(unfinished),
                f"deb [signed-by={_KEYRING}] {mirror} {SUITE} main",
            )  # fmt: skip
            unfinished.rename(below)
    return below


def _digest(*recipe: str) -> str:
    return hashlib.sha256(" ".join(recipe).encode()).hexdigest()[:12]


@contextmanager
def _layer(below: Path, where: Path) -> Iterator[DebianRoot]:
    """A root at ``where`` that begins as ``below`` is and leaves it untouched; gone after the block."""
    upper, work = where.with_name(f"{where.name}.upper"), where.with_name(f"{where.name}.work")
    for directory in (where, upper, work):
        directory.mkdir(parents=True)
    options = f"lowerdir={below},upperdir={upper},workdir={work}"
    mounting = ["mount", "-t", "overlay", "overlay", "-o", options, str(where)]
    mounted = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
    if not mounted:  # the temporary directory may lie on such a mount itself
        _keep(below, where)
    try:
        yield DebianRoot(where)
    finally:
        if mounted:
            output("umount", str(where))
        for directory in (where, upper, work):
            shutil.rmtree(directory)


def _keep(source: Path, target: Path) -> None:
    """Copy a root with owners and links; the target appears only when it is whole."""
    unfinished = target.with_name(f"unfinished-{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    output("cp", "--archive", "--reflink=auto", str(source), str(unfinished))
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Several workers want the same at once: the first makes it, the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _init_of(spawned: subprocess.Popen[bytes]) -> int:
    """The machine's process 1 by its pid here, 0 while there is none. It is a child of systemd-nspawn, but so is, at
    first, the process that makes it."""
    assert spawned.poll() is None, "systemd-nspawn has ended"
    with suppress(OSError):
        for pid in Path(f"/proc/{spawned.pid}/task/{spawned.pid}/children").read_text(encoding="ascii").split():
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            if re.search(r"^NSpid:\t\d+\t1$", status, re.MULTILINE) and status.startswith("Name:\tsystemd\n"):
                return int(pid)
    return 0


def _power_off(spawned: subprocess.Popen[bytes], init: int) -> None:
    if spawned.poll() is None and init:
        with suppress(ProcessLookupError):
            os.kill(init, signal.SIGRTMIN + 4)  # systemd(1): power off
    try:
        spawned.wait(_STOP_S if init else 0)
    except subprocess.TimeoutExpired:
        spawned.kill()
        spawned.wait()
