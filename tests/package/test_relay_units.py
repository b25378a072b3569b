"""What the units of the relay's machine promise: clean, in a sandbox, the relay first, never giving up."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from relay.commands.program import build_command
from relay.settings import DEFAULT_CONFIG, RelaySettings
from relay.texts import Language
from tests.package.debs import Lines, read_unit, values
from tests.package.unit_files import HIGHEST_EXPOSURE, SYSTEM, complaints, days_between, exposure

UNITS = Path(__file__).parents[2] / "systemd"
RELAY, WEB = "doorbell-relay.service", "doorbell-web.service"
TIMERS = ["doorbell-relay-backup.timer", "doorbell-relay-retain.timer", "doorbell-relay-verify.timer"]
CHORES = [timer.replace(".timer", ".service") for timer in TIMERS]
SERVICES = [RELAY, WEB, *CHORES]
RENEW, DAILY = "doorbell-relay-renew.service", "doorbell-relay-renew.timer"
"""The one that must be root: its files belong to two accounts, and it has the broker reloaded."""
PROGRAM = "/opt/love-doorbell/current/bin/doorbell-relay"
STATE = "/var/lib/love-doorbell"
CONCERNED_S = 15
"""Docs/operating.md: a loop that has not moved for so long is stuck. The watchdog acts later, not sooner."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with the units, what they start, this machine's targets, and nothing else."""
    made = tmp_path_factory.mktemp("relay-units") / "root"
    (made / SYSTEM).mkdir(parents=True)
    for unit in (*SERVICES, RENEW, *TIMERS, DAILY):
        shutil.copy(UNITS / unit, made / SYSTEM)
    for target in Path("/usr/lib/systemd/system").glob("*.target"):
        shutil.copy(target, made / SYSTEM)
    for program in (PROGRAM, "/usr/bin/systemd-tmpfiles"):
        path = made / program[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
    return made


def service(unit: str) -> dict[str, str]:
    """The service's section, for keys that stand there once."""
    return dict(lines(unit))


def lines(unit: str) -> Lines:
    return read_unit(UNITS / unit)["Service"]


def seconds(text: str) -> float:
    number, kind = re.fullmatch(r"(\d+)(ms|s|min|h)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"ms": 0.001, "s": 1, "min": 60, "h": 3600}[kind]


@pytest.mark.parametrize("unit", [*SERVICES, RENEW, *TIMERS, DAILY])
def test_a_unit_is_clean(root: Path, unit: str) -> None:
    assert complaints(root, unit) == []


@pytest.mark.parametrize("unit", [*SERVICES, RENEW])
def test_a_service_is_hardly_exposed(root: Path, unit: str) -> None:
    assert exposure(root, unit) < HIGHEST_EXPOSURE


def test_no_unit_of_the_relay_is_forgotten() -> None:
    there = {path.name for path in UNITS.glob("doorbell-*") if "device" not in path.name}
    assert there == {*SERVICES, RENEW, *TIMERS, DAILY}
    installable = {name for name in there if "Install" in read_unit(UNITS / name)}
    assert installable == {RELAY, WEB, *TIMERS, DAILY}


@pytest.mark.parametrize("unit", [*SERVICES, RENEW])
def test_what_a_service_runs_is_a_command_with_these_options(unit: str) -> None:
    path, *arguments = service(unit)["ExecStart"].split()
    assert path == PROGRAM
    command: Any = build_command(Language.EN)
    while hasattr(command, "commands"):
        name, *arguments = arguments
        command = command.commands[name]
    given = command.make_context(unit, arguments).params
    assert given["config"] == DEFAULT_CONFIG
    assert read_unit(UNITS / unit)["Unit"].count(("ConditionPathExists", str(DEFAULT_CONFIG))) == 1


def test_the_relay_never_gives_up_but_for_a_setting() -> None:
    relay = service(RELAY)
    assert values(read_unit(UNITS / RELAY)["Unit"], "StartLimitIntervalSec") == ["0"]
    assert (relay["Restart"], relay["RestartPreventExitStatus"]) == ("always", "2")
    assert seconds(relay["RestartSec"]) <= 1
    assert seconds(relay["RestartMaxDelaySec"]) <= 5  # after the hundredth trouble too


def test_the_relay_proves_that_it_lives() -> None:
    relay = service(RELAY)
    assert (relay["Type"], relay["NotifyAccess"]) == ("notify", "main")
    assert CONCERNED_S < seconds(relay["WatchdogSec"]) <= 60
    assert "PYTHONFAULTHANDLER=1" in relay["Environment"].split()


def test_the_relay_needs_no_other_unit() -> None:
    """A broker on another machine, or none at the start of this one, is the relay's own business."""
    for unit in (*SERVICES, RENEW):
        asked = {key for key, _ in read_unit(UNITS / unit)["Unit"]}
        assert not asked & {"Wants", "Requires", "BindsTo", "Requisite", "PartOf"}
    (after,) = values(read_unit(UNITS / RELAY)["Unit"], "After")
    assert "mosquitto.service" in after.split()
    assert "online" not in after


def test_the_relay_comes_first_and_chores_last() -> None:
    for key, best in (("CPUWeight", 1000), ("IOWeight", 1000), ("Nice", -5), ("OOMScoreAdjust", -900)):
        found = [int(service(unit)[key]) for unit in (RELAY, WEB, CHORES[0])]
        assert found[0] == best
        assert found == sorted(found, reverse=key.endswith("Weight"))


@pytest.mark.parametrize("unit", CHORES)
def test_who_may_hold_the_databases_lock_is_never_kept_from_letting_go(unit: str) -> None:
    """A process of the idle class, or one that has used its quota up, would hold up presses."""
    assert not {"CPUSchedulingPolicy", "IOSchedulingClass", "CPUQuota"} & service(unit).keys()


def test_the_relay_can_read_what_tells_boots_and_starts() -> None:
    """The kernel's boot id, without which a set clock moves deadlines across a restart; and /proc/stat for /metrics."""
    assert "ProcSubset" not in service(RELAY)


@pytest.mark.parametrize("unit", [*SERVICES, RENEW])
def test_databases_hooks_and_brokers_are_reached(unit: str) -> None:
    found = service(unit)
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} == set(found["RestrictAddressFamilies"].split())
    assert not {"PrivateNetwork", "IPAddressDeny"} & found.keys()


@pytest.mark.parametrize("unit", [*SERVICES, RENEW])
def test_no_secret_is_in_arguments_or_environment(unit: str) -> None:
    text = " ".join(value for key, value in lines(unit) if key.startswith(("Exec", "Environment", "SetCredential")))
    assert not re.search(r"pass|secret|key|token", text, re.IGNORECASE)


@pytest.mark.parametrize("unit", SERVICES)
def test_every_service_is_the_same_account_and_writes_in_its_folder_only(unit: str) -> None:
    found = service(unit)
    assert found["User"] == found["Group"] == "love-doorbell"
    assert found["ProtectSystem"] == "strict"
    written = found.get("StateDirectory") or found["ReadWritePaths"].removeprefix("/var/lib/")
    assert {path.split("/")[0] for path in written.split()} == {"love-doorbell"}


def test_renewals_are_tried_every_day_and_made_up_for() -> None:
    timer = dict(read_unit(UNITS / DAILY)["Timer"])
    assert (days_between(timer["OnCalendar"]), timer["Persistent"]) == (1, "yes")


def test_who_renews_is_root_for_the_files_of_two_accounts_and_for_nothing_else() -> None:
    renew = service(RENEW)
    assert renew["User"] == "root"
    assert set(renew["CapabilityBoundingSet"].split()) == {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL"}
    assert (renew["ProtectSystem"], renew["NoNewPrivileges"], renew["AmbientCapabilities"]) == ("strict", "yes", "")
    places = ["/etc/love-doorbell", "/etc/mosquitto", "/etc/nats", STATE]
    assert renew["ReadWritePaths"].split() == [f"-{place}" for place in places]
    filters = values(lines(RENEW), "SystemCallFilter")
    assert filters[-1] == "@chown", "denied with the privileged ones, and allowed again after them"


def test_backups_are_made_every_night_before_anything_is_forgotten() -> None:
    assert f"{STATE}/backups --keep" in service(CHORES[0])["ExecStart"]
    timers = [dict(read_unit(UNITS / timer)["Timer"]) for timer in TIMERS]
    assert [days_between(timer["OnCalendar"]) for timer in timers] == [1, 1, 7]
    assert {timer["Persistent"] for timer in timers} == {"yes"}
    # Both made up for at one boot: in this order all the same.
    assert CHORES[0] in values(read_unit(UNITS / CHORES[1])["Unit"], "After")[0].split()
    assert set(CHORES[:2]) <= set(values(read_unit(UNITS / CHORES[2])["Unit"], "After")[0].split())
    times = [timer["OnCalendar"].split()[-1] for timer in timers]
    assert times == sorted(times)


def test_the_account_has_no_shell_and_its_files_are_its_own() -> None:
    assert (UNITS / "love-doorbell.sysusers").read_text("utf-8").split()[-1] == "/usr/sbin/nologin"
    rules = [line.split() for line in (UNITS / "love-doorbell.tmpfiles").read_text("utf-8").splitlines()]
    modes = {rule[1]: rule[2:5] for rule in rules if rule[0] in {"d", "z"}}
    assert modes[STATE] == ["0700", "love-doorbell", "love-doorbell"]
    assert modes["/etc/love-doorbell"] == ["0750", "root", "love-doorbell"]
    assert not any(int(mode, 8) & 0o007 for mode, _, _ in modes.values())


def test_the_default_settings_find_their_key_in_the_place_that_the_rules_protect() -> None:
    settings = RelaySettings.model_validate(
        {"name": "main", "database": f"{STATE}/relay.sqlite3"}, context={"settings_directory": DEFAULT_CONFIG.parent}
    )
    text = (UNITS / "love-doorbell.tmpfiles").read_text("utf-8")
    assert f"z {settings.privacy.key_file} 0600 love-doorbell love-doorbell" in text


@pytest.mark.parametrize(("word", "code"), [("--help", 0), ("--upgrade", 1)])
def test_the_installation_explains_itself_and_changes_nothing(word: str, code: int) -> None:
    script, home = UNITS.parent / "tools/install-relay.sh", Path("/opt/love-doorbell")
    before = home.exists()
    done = subprocess.run(["bash", script, word], capture_output=True, text=True, check=False)
    assert done.returncode == code
    told = done.stdout + done.stderr
    assert ("--back" in told, "--help" in told) == (code == 0, code == 1)
    assert home.exists() == before


def test_every_unit_that_a_text_names_is_there() -> None:
    texts = "".join(path.read_text("utf-8") for path in (UNITS.parent / "relay/texts").glob("*.py"))
    named = set(re.findall(r"systemd/([\w.-]+\.(?:service|timer))", texts))
    assert named
    assert [name for name in sorted(named) if not (UNITS / name).is_file()] == []
