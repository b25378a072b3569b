"""What the systemd units promise: clean, in a sandbox, never giving up, waiting for nobody."""

import re
import shutil
from pathlib import Path

import pytest

from device.command import _parser
from tests.package.debs import BuiltDeb, Lines, read_unit, values
from tests.package.unit_files import HIGHEST_EXPOSURE, SYSTEM, complaints, days_between, exposure
from tools.deb_device import UNITS

DAEMON = "doorbell-device.service"
SELFTEST = "doorbell-device-selftest.service"
TIMER = "doorbell-device-selftest.timer"
SERVICES = [DAEMON, SELFTEST]


@pytest.fixture(scope="module")
def root(deb: BuiltDeb, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with the package's units, this machine's targets, and nothing else."""
    copy = tmp_path_factory.mktemp("units") / "root"
    shutil.copytree(deb.root, copy)
    for target in Path("/usr/lib/systemd/system").glob("*.target"):
        shutil.copy(target, copy / SYSTEM)
    return copy


def service(root: Path, unit: str) -> Lines:
    return read_unit(root / SYSTEM / unit)["Service"]


@pytest.mark.parametrize("unit", [*SERVICES, TIMER])
def test_a_unit_is_clean(root: Path, unit: str) -> None:
    assert complaints(root, unit) == []


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("Type=notify", "Type=notifi"),
        ("WatchdogSec=20s", "WatchdogSek=20s"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@system-servant"),
    ],
)
def test_a_mistake_in_a_unit_is_seen(root: Path, tmp_path: Path, line: str, mistake: str) -> None:
    copy = tmp_path / "root"
    shutil.copytree(root, copy)
    path = copy / SYSTEM / DAEMON
    text = path.read_text(encoding="utf-8")
    assert f"\n{line}\n" in text
    path.write_text(text.replace(f"\n{line}\n", f"\n{mistake}\n"), encoding="utf-8")
    assert complaints(copy, DAEMON)


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_hardly_exposed(root: Path, unit: str) -> None:
    assert exposure(root, unit) < HIGHEST_EXPOSURE


@pytest.mark.parametrize("unit", SERVICES)
def test_what_a_service_runs_is_in_the_package_and_knows_its_options(root: Path, unit: str) -> None:
    lines = service(root, unit)
    for command in (*values(lines, "ExecStart"), *values(lines, "ExecStopPost")):
        path, *arguments = command.removeprefix("-").split()
        assert (root / path.lstrip("/")).is_file()
        _parser().parse_args(arguments)


def test_the_daemon_has_the_pins_the_sound_and_the_firmware_but_no_other_device(root: Path) -> None:
    lines = service(root, DAEMON)
    assert values(lines, "DevicePolicy") == ["closed"]
    assert set(values(lines, "DeviceAllow")) == {"char-gpiochip rw", "char-alsa rw", "/dev/vcio rw"}
    assert values(lines, "PrivateDevices") == []  # would hide both
    assert values(lines, "ProcSubset") == []  # would hide /proc/cpuinfo, by which gpiozero knows the board


def test_what_the_daemons_own_processes_call_is_allowed_again(root: Path) -> None:
    """Without these calls no sound was played, and no sentence was ever spoken."""
    filters = values(service(root, DAEMON), "SystemCallFilter")
    denied = next(number for number, one in enumerate(filters) if "@resources" in one)
    assert filters[denied].startswith("~")
    assert {"capset", "nice", "setpriority"} <= set(" ".join(filters[denied + 1 :]).split())


def test_whatever_ended_the_daemon_its_lights_are_switched_off(root: Path) -> None:
    """A killed daemon's lines stay as they were, and "coming" would go on. No pins: no failure."""
    (command,) = values(service(root, DAEMON), "ExecStopPost")
    started = values(service(root, DAEMON), "ExecStart")[0]
    assert command == "-" + started.replace(" run ", " lights-off ")


def test_the_daemon_and_the_daily_proof_are_what_an_installation_enables(root: Path) -> None:
    assert set(UNITS) == {DAEMON, TIMER}
    installable = {path.name for path in (root / SYSTEM).glob("doorbell-*") if "Install" in read_unit(path)}
    assert installable == set(UNITS)


def test_the_daemon_never_gives_up(root: Path) -> None:
    unit, lines = read_unit(root / SYSTEM / DAEMON)["Unit"], service(root, DAEMON)
    assert values(unit, "StartLimitIntervalSec") == ["0"]
    assert values(lines, "Restart") == ["always"]
    assert values(lines, "RestartPreventExitStatus") == []
    assert values(lines, "RestartMaxDelaySec") == ["15s"]


def test_the_daemon_waits_neither_for_the_network_nor_for_the_time(root: Path) -> None:
    unit = read_unit(root / SYSTEM / DAEMON)["Unit"]
    awaited = " ".join(value for key in ("After", "Requires", "Wants", "BindsTo") for value in values(unit, key))
    assert not re.search(r"network|time|nss|remote", awaited)


def test_the_daemon_wants_its_partition_first_but_starts_without_it(root: Path) -> None:
    """``StateDirectory`` would require the mount: a card that cannot be mounted would silence the button."""
    sections = read_unit(root / SYSTEM / DAEMON)
    assert r"var-lib-doorbell\x2ddevice.mount" in values(sections["Unit"], "After")[0].split()
    required = {key for lines in sections.values() for key, _ in lines}
    assert not required & {"StateDirectory", "Requires", "RequiresMountsFor", "BindsTo", "Requisite"}
    assert values(sections["Service"], "ReadWritePaths") == ["-/var/lib/doorbell-device"]
    assert values(sections["Service"], "WorkingDirectory") == ["/run/doorbell-device"]


def test_the_self_test_asks_a_daemon_that_runs_and_starts_none(root: Path) -> None:
    unit = read_unit(root / SYSTEM / SELFTEST)["Unit"]
    assert {key for key, _ in unit} & {"Wants", "Requires", "BindsTo", "Requisite"} == set()
    lines = service(root, SELFTEST)
    assert not [key for key, _ in lines if key in {"RuntimeDirectory", "ReadWritePaths", "StateDirectory"}]
    # It waits for the end of an alarm for as long as it asks to, and is not ended before.
    (command,) = values(lines, "ExecStart")
    (limit,) = values(lines, "TimeoutStartSec")
    assert int(command.split("--wait ")[1]) < 60 * int(limit.removesuffix("min"))


def test_every_day_has_a_self_test_and_each_device_its_own_minute(root: Path) -> None:
    timer = dict(read_unit(root / SYSTEM / TIMER)["Timer"])
    assert timer["Persistent"] == timer["FixedRandomDelay"] == "yes"
    assert int(timer["RandomizedDelaySec"].removesuffix("h")) >= 1
    assert days_between(timer["OnCalendar"]) == 1


def test_only_the_pin_library_that_loses_no_edge_is_used_and_its_pipe_is_in_memory(root: Path) -> None:
    (environment,) = values(service(root, DAEMON), "Environment")
    assert {"GPIOZERO_PIN_FACTORY=lgpio", "LG_WD=/run/doorbell-device"} <= set(environment.split())


def test_the_hardware_watchdog_is_within_what_a_pi_can_count(root: Path) -> None:
    manager = read_unit(root / "usr/lib/systemd/system.conf.d/50-doorbell-watchdog.conf")["Manager"]
    (seconds,) = values(manager, "RuntimeWatchdogSec")
    assert 5 <= int(seconds.removesuffix("s")) <= 15


def test_the_journal_is_in_memory_and_small(root: Path) -> None:
    journal = dict(read_unit(root / "usr/lib/systemd/journald.conf.d/50-doorbell-journal.conf")["Journal"])
    assert journal["Storage"] == "volatile"
    assert int(journal["RuntimeMaxUse"].removesuffix("M")) <= 32
    assert {"RateLimitIntervalSec", "RateLimitBurst"} <= journal.keys()
