"""The package's life on a Debian 13: installed, started by systemd, hung, upgraded, removed, purged.

Needs root, a Debian mirror for the first run, and two minutes; ``make test-deps`` brings the programs.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package.debian_root import BootedDebian, DebianRoot, fresh_root, lgpio_deb, prepared_root
from tests.package.debs import BuiltDeb, build_unpacked
from tests.system.processes import until
from tools.deb_device import UNITS

pytestmark = [pytest.mark.slow, pytest.mark.system]

DAEMON = "doorbell-device.service"
SELFTEST = "doorbell-device-selftest.service"
SETTINGS = "/etc/doorbell/device.toml"
STATE = "/var/lib/doorbell-device"
MOCK = "/etc/systemd/system/doorbell-device.service.d/mock.conf"
PINS = "/run/doorbell-device/control.sock"
BACK_WITHIN_S = 60.0
"""WatchdogSec=20s, a second until the restart, and a busy machine."""
OUTSIDE_THE_PACKAGE = (
    "/var/log/",
    "/var/lib/dpkg/",
    "/var/lib/apt/",
    "/var/cache/",
    "/srv/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/",
)
"""Where apt, dpkg and the kernel keep their own."""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[DebianRoot]:
    """A Debian that knows nothing of us."""
    with fresh_root(tmp_path / "fresh") as root:
        yield root


@pytest.fixture
def root(deb: BuiltDeb, tmp_path: Path) -> Iterator[DebianRoot]:
    """A Debian that has all that the package depends on."""
    with prepared_root(tmp_path / "root", deb) as root:
        yield root


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> BuiltDeb:
    """The package of the next version."""
    return build_unpacked(tmp_path_factory.mktemp("newer"), "1.2.4~test")


def set_up(root: DebianRoot) -> None:
    """Write the settings as a technician would, and let the daemon run on mock pins: there are no others here."""
    shutil.copy(root.inside("/usr/share/doc/doorbell-device/examples/panel.example.toml"), root.inside(SETTINGS))
    mock = root.inside(MOCK)
    mock.parent.mkdir(exist_ok=True, parents=True)
    start = f"/usr/bin/doorbell-device run --config {SETTINGS} --pins mock --control {PINS}"
    mock.write_text(f"[Service]\nExecStart=\nExecStart={start}\n", encoding="utf-8")


def install(root: DebianRoot, deb: BuiltDeb) -> str:
    """Install without a network, as on a Pi onto whose card the files were laid."""
    return root.run("apt-get", "install", "-qy", root.put(deb.path))


def state(machine: BootedDebian) -> dict[str, object]:
    """What the daemon says of itself, or nothing."""
    told = machine.ask("doorbell-device", "pins", "state", "--json", "--socket", PINS)
    return dict(json.loads(told)) if told else {}


def presses(machine: BootedDebian) -> list[str]:
    """The presses in the outbox, each with all its columns; a machine without a sound card also has faults there. Read
    from a copy: the daemon lets nobody else open its file."""
    dump = "import sqlite3; print(*sqlite3.connect('/tmp/copy/outbox.sqlite3').iterdump(), sep='\\n')"
    told = machine.run("sh", "-c", f'rm -rf /tmp/copy; cp -r {STATE} /tmp/copy; python3 -c "$1"', "-", dump)
    return [line for line in told.splitlines() if "'help'" in line]


def main_pid(machine: BootedDebian) -> int:
    return int(machine.unit(DAEMON, "MainPID")["MainPID"])


def restarts(machine: BootedDebian) -> int:
    return int(machine.unit(DAEMON, "NRestarts")["NRestarts"])


def everything(root: DebianRoot) -> set[str]:
    """Every path of the root but those of apt, dpkg and the kernel; users and groups too."""
    paths = {f"/{path.relative_to(root.path)}" for path in root.path.rglob("*")}
    accounts = {f"{name}: {line}" for name in ("passwd", "group", "shadow", "gshadow") for line in _lines(root, name)}
    return {path for path in paths if not path.startswith(OUTSIDE_THE_PACKAGE)} | accounts


def _lines(root: DebianRoot, name: str) -> list[str]:
    return root.inside(f"/etc/{name}").read_text(encoding="utf-8").splitlines()


def test_a_fresh_debian_installs_it_with_all_that_it_needs(fresh: DebianRoot, deb: BuiltDeb) -> None:
    """In a chroot, as when a card is prepared: no systemd runs, nothing may fail for it."""
    root = fresh
    root.run("apt-get", "-q", "update", network=True)
    told = root.run(
        "apt-get", "install", "-qy", "--no-install-recommends", root.put(lgpio_deb()), root.put(deb.path), network=True
    )
    assert "failed" not in told.lower()
    assert set(root.run("id", "-nG", "doorbell").split()) == {"doorbell", "audio", "video", "gpio"}
    for unit in UNITS:
        assert root.run("systemctl", "is-enabled", unit) == "enabled"
    assert "pins" in root.run("doorbell-device", "--help")
    example = "/usr/share/doc/doorbell-device/examples/bell.example.toml"
    assert STATE in root.run("doorbell-device", "check", "--config", example)
    assert root.run("python3", "-c", "import lgpio; print(lgpio.get_module_version())")
    assert root.inside("/etc/doorbell").stat().st_mode & 0o777 == 0o750
    for unit in UNITS:
        assert root.run("systemd-analyze", "verify", "--man=no", unit) == ""
    compiled = root.inside("/usr/lib/doorbell-device/device/__pycache__")
    assert [*compiled.glob("daemon.cpython-313.pyc")]


def test_its_life_under_systemd(root: DebianRoot, deb: BuiltDeb, newer: BuiltDeb) -> None:
    install(root, deb)
    with root.booted() as machine:
        # Without settings nothing runs and nothing has failed.
        asked = machine.unit(DAEMON, "ActiveState", "ConditionResult", "Result")
        assert asked == {"ActiveState": "inactive", "ConditionResult": "no", "Result": "success"}
        assert machine.run("systemctl", "is-system-running") == "running"
        assert SETTINGS in machine.ask("systemctl", "status", DAEMON)
        # The machine is fed, the journal is in memory.
        assert machine.run("systemctl", "show", "--property=RuntimeWatchdogUSec", "--value") == "14s"
        assert [*root.inside("/var/log/journal").rglob("*.journal")] == []
        assert machine.run("journalctl", "--boot", "--lines=1", "--no-pager")

        set_up(root)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", DAEMON)
        assert machine.is_active(DAEMON)
        first = main_pid(machine)
        assert machine.run("stat", "--format=%U", f"/proc/{first}") == "doorbell"
        # The daily proof reaches it. No relay answers here, so it must not be content.
        machine.ask("systemctl", "start", SELFTEST)
        assert machine.unit(SELFTEST, "ExecMainStatus")["ExecMainStatus"] == "3"
        machine.run("doorbell-device", "pins", "press", "help", "--socket", PINS)
        until(lambda: presses(machine), "the press is in the outbox")

        # It hangs: the watchdog ends it, where it stood is in the journal, it comes back with the press.
        machine.run("systemctl", "kill", "--signal=STOP", DAEMON)
        until(lambda: main_pid(machine) not in (0, first), "another daemon runs", within_s=BACK_WITHIN_S)
        until(lambda: machine.is_active(DAEMON), "it is ready")
        assert "Current thread" in machine.run("journalctl", "--unit", DAEMON, "--output=cat", "--no-pager")
        assert len(presses(machine)) == 1

        # A broken settings file is tried again, and again, until somebody mends it.
        before = root.inside(SETTINGS).read_bytes()
        root.inside(SETTINGS).write_bytes(b"device = [\n")
        machine.ask("systemctl", "restart", DAEMON)
        until(
            lambda: int(machine.unit(DAEMON, "NRestarts")["NRestarts"]) >= 2,
            "it is tried again",
            within_s=BACK_WITHIN_S,
        )
        root.inside(SETTINGS).write_bytes(before)
        until(lambda: machine.is_active(DAEMON), "mended, it starts by itself", within_s=BACK_WITHIN_S)

        # Upgraded while it runs.
        old, saved = main_pid(machine), presses(machine)
        assert len(saved) == 1
        machine.run("apt-get", "install", "-qy", root.put(newer.path))
        until(lambda: machine.is_active(DAEMON), "the new version runs")
        assert main_pid(machine) != old
        assert machine.run("dpkg-query", "-W", "-f", "${Version}", "doorbell-device") == newer.version
        assert root.inside(SETTINGS).read_bytes() == before
        assert presses(machine) == saved
        assert until(lambda: state(machine), "it answers")["outbox"]

        # Removed: it has stopped, what a later installation needs has stayed.
        machine.run("apt-get", "remove", "-qy", "doorbell-device")
        assert machine.unit(DAEMON, "ActiveState")["ActiveState"] == "inactive"
        assert not root.inside("/usr/lib/doorbell-device").exists()
        assert root.inside(SETTINGS).read_bytes() == before
        assert presses(machine) == saved
        assert machine.run("id", "-un", "doorbell") == "doorbell"

        machine.run("rm", "-r", str(Path(MOCK).parent))  # the technician's, not the package's
        machine.run("apt-get", "purge", "-qy", "doorbell-device")
        assert machine.ask("id", "doorbell") == ""
        assert machine.run("systemctl", "list-units", "--failed", "--no-legend", "--plain") == ""
    left = [path for path in everything(root) if "doorbell" in path]
    assert left == []


def test_a_purge_leaves_nothing_and_an_upgrade_touches_no_byte(
    root: DebianRoot, deb: BuiltDeb, newer: BuiltDeb
) -> None:
    """Without systemd, so that nobody else touches the files."""
    before = everything(root)
    install(root, deb)
    set_up(root)
    key = root.inside("/etc/doorbell/button-liu.key")
    key.write_text("a secret", encoding="utf-8")
    outbox = root.inside(f"{STATE}/outbox.sqlite3")
    outbox.write_bytes(bytes(range(256)))
    settings = root.inside(SETTINGS).read_bytes()

    install(root, newer)
    assert root.inside(SETTINGS).read_bytes() == settings
    assert outbox.read_bytes() == bytes(range(256))
    assert key.stat().st_mode & 0o777 == 0o640
    group = int(root.run("id", "-g", "doorbell"))
    assert (key.stat().st_uid, key.stat().st_gid) == (0, group)

    shutil.rmtree(root.inside(MOCK).parent)
    root.run("apt-get", "remove", "-qy", "doorbell-device")
    assert root.inside(SETTINGS).read_bytes() == settings
    assert outbox.read_bytes() == bytes(range(256))
    root.run("apt-get", "purge", "-qy", "doorbell-device")
    assert everything(root) - before == set()
    assert before - everything(root) == set()


def test_a_disabled_daemon_stays_disabled_over_an_upgrade(root: DebianRoot, deb: BuiltDeb, newer: BuiltDeb) -> None:
    install(root, deb)
    root.run("systemctl", "disable", DAEMON)
    install(root, newer)
    assert "disabled" in root.run("sh", "-c", f"systemctl is-enabled {DAEMON} || true")


def test_a_read_only_root_with_one_writable_directory_is_enough(
    root: DebianRoot, deb: BuiltDeb, tmp_path: Path
) -> None:
    install(root, deb)
    set_up(root)
    partition = tmp_path / "partition"  # a new file system belongs to root
    partition.mkdir()
    tmpfs = [f"--tmpfs={place}" for place in ("/var/tmp", "/var/log", "/var/lib/systemd")]  # as docs/install.md says
    with root.booted("--read-only", *tmpfs, f"--bind={partition}:{STATE}") as machine:
        machine.ask("touch", "/etc/written")
        assert not root.inside("/etc/written").exists()
        until(lambda: machine.is_active(DAEMON), "it is ready")
        assert machine.run("systemctl", "list-units", "--failed", "--no-legend", "--plain") == ""
        machine.run("doorbell-device", "pins", "press", "help", "--socket", PINS)
        until(lambda: presses(machine), "the press is in the outbox")
    assert (partition / "outbox.sqlite3").is_file()


def test_a_partition_that_cannot_be_mounted_silences_no_button(root: DebianRoot, deb: BuiltDeb) -> None:
    install(root, deb)
    set_up(root)
    root.inside("/etc/fstab").write_text(f"/nowhere.img {STATE} ext4 loop,nofail 0 2\n", encoding="utf-8")
    with root.booted() as machine:
        assert machine.unit(r"var-lib-doorbell\x2ddevice.mount", "ActiveState")["ActiveState"] == "failed"
        until(lambda: machine.is_active(DAEMON), "it is ready all the same")
