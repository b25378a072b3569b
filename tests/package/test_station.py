"""The relay's machine from nothing, by the words of docs/install-relay.md, and what can happen to it afterwards.

A system container with a real systemd, mosquitto and Caddy, no network; real devices, on pins of memory, reach the
broker in it by mutual TLS.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.package.debian_root import ROOT
from tests.package.station import Station, booted_station, commands
from tests.package.test_relay_units import CHORES, DAILY, RELAY, RENEW, TIMERS, WEB
from tests.system.processes import Device, until
from tests.system.town import FIRST, OTHER_BELL, OTHER_PANEL, PANEL, REGISTER, SECOND

pytestmark = [pytest.mark.slow, pytest.mark.system]

DATA, SETTINGS = "/var/lib/love-doorbell", "/etc/love-doorbell"
HOOK = f"""
[[hook]]
id = "board"
community = "xihushan"
url = "http://127.0.0.1:9000/told"
secret_file = "{SETTINGS}/board.secret"
"""
STEPS = REGISTER.replace('call = ["volunteers"]', 'call = ["volunteers", "hook:board"]').replace(
    "arrive_wait_s = 60", "arrive_wait_s = 600"
)
RECEIVER = """\
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/srv/told", "ab") as told:
            told.write(str(self.headers["X-Doorbell-Signature"]).encode() + b" " + body + b"\\n")
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", 9000), Handler).serve_forever()
"""
BACK_WITHIN_S = 90.0
"""WatchdogSec=30s, a second until the restart, and a busy machine."""
PAGES = "https://doorbell.example.org"
CURL = "curl --silent --show-error --insecure --resolve doorbell.example.org:443:127.0.0.1"
NEWER = ("doorbell", "device", "relay", "sim", "systemd", "config", "tools")


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with booted_station(tmp_path / "station", STEPS + HOOK) as station:
        yield station


@contextmanager
def devices(station: Station, folder: Path) -> Iterator[dict[str, Device]]:
    """A panel and two bells with identities of this machine's authority, in its network."""
    made: dict[str, Device] = {}
    with ExitStack() as stack:
        for name in (PANEL, FIRST, SECOND):
            identity = folder / f"id-{name}"
            shutil.copytree(station.root.inside(f"/srv/id-{name}"), identity)
            config = folder / f"{name}.toml"
            config.write_text(
                f'device = "{name}"\ncommunity = "xihushan"\nrole = "{"panel" if name == PANEL else "bell"}"\n'
                f'state_dir = "{name}"\n[mqtt]\nport = 8883\nbackoff_min_s = 0.1\nbackoff_max_s = 0.5\n'
                f'[mqtt.tls]\nca = "{identity}/ca.pem"\ncertificate = "{identity}/certificate.pem"\n'
                f'key = "{identity}/key.pem"\n[sound]\nplayer = "none"\n[logs]\nformat = "json"\n',
                "utf-8",
            )
            inside = ["nsenter", f"--target={station.machine.init}", "--net", "--"]
            device = made[name] = Device(name, config, folder / f"{name}.sock", inside=inside)
            stack.callback(device.close)
            device.start()
        yield made


def ready(people: Mapping[str, Device]) -> Callable[[], bool]:
    return lambda: all(one.now.link and one.now.light in ("covered", "ready") for one in people.values())


def alarms(station: Station, *words: str) -> list[str]:
    """The stages of the alarms."""
    return [one["stage"] for one in json.loads(station.type(f"doorbell-relay alarms list --json {' '.join(words)}"))]


def restarts(station: Station) -> int:
    return int(station.machine.unit(RELAY, "NRestarts")["NRestarts"])


def pid(station: Station, unit: str = RELAY) -> str:
    return station.machine.unit(unit, "MainPID")["MainPID"]


def backups(station: Station) -> list[str]:
    return sorted(path.name for path in station.root.inside(f"{DATA}/backups").iterdir())


def help_arrives(station: Station, panel: Device, first: Device) -> None:
    first.press("answer")
    until(lambda: panel.now.stage == "coming", "the panel says coming")
    panel.press("ok")
    until(lambda: panel.now.stage == "arrived" and first.now.light == "mine", "the helper is there")
    first.press("answer", ms=3_200)
    until(lambda: not alarms(station), "the alarm is closed")


def set_up(station: Station) -> None:
    """The page, from its beginning to the pages, and identities for the devices."""
    for section in ("Install", "Identities", "Register", "Broker"):
        station.follow(section)
    station.root.inside(f"{SETTINGS}/board.secret").write_text("a key\n", "utf-8")
    station.root.inside("/srv/receiver.py").write_text(RECEIVER, "utf-8")
    station.type("systemd-run --quiet --unit=receiver python3 /srv/receiver.py")
    for name in (PANEL, FIRST, SECOND, OTHER_PANEL, OTHER_BELL):
        station.type(f"doorbell-relay authority issue device {name} --to /srv/id-{name}")
    station.type("doorbell-relay broker config && doorbell-relay broker reload")
    assert '"status": "ok"' in station.follow("Start")
    station.follow("Pages")


def test_the_relays_machine(station: Station, tmp_path: Path) -> None:
    set_up(station)
    machine = station.machine
    assert machine.unit(RELAY, "User", "NRestarts", "NeedDaemonReload") == {
        "User": "love-doorbell",
        "NRestarts": "0",
        "NeedDaemonReload": "no",
    }
    with devices(station, tmp_path) as people:
        panel, first, second = people.values()
        until(ready(people), "panel and bells are ready")
        it_rings_and_tells(station, panel, first)
        killed_it_comes_back_and_the_alarm_goes_on(station, panel, first, second)
        hung_it_is_ended_and_started_again(station, panel, first)
        until(ready(people), "all is quiet")
    it_stops_in_good_order(station)
    a_wrong_setting_is_told_and_waited_for(station)
    what_is_unsound_fails_the_chores_and_a_backup_mends_it(station)
    another_release_takes_over_or_goes_back(station)
    all_of_it_moves_to_another_machine(station)
    removed_it_leaves_the_data(station)


def it_rings_and_tells(station: Station, panel: Device, first: Device) -> None:
    """By the bell, and by the network: with a signature whose key only root and the relay can read."""
    panel.press("help")
    until(lambda: first.now.sounding, "the bell rings")
    told = station.root.inside("/srv/told")
    until(lambda: told.exists() and b"v1=" in told.read_bytes(), "the hook is told, signed")
    assert station.root.inside(f"{SETTINGS}/board.secret").stat().st_mode & 0o777 == 0o640


def killed_it_comes_back_and_the_alarm_goes_on(station: Station, panel: Device, first: Device, second: Device) -> None:
    station.machine.run("systemctl", "kill", "--signal=KILL", RELAY)
    until(lambda: restarts(station) == 1 and station.machine.is_active(RELAY), "it is back")
    assert alarms(station) == ["ringing"]
    until(lambda: first.now.sounding and second.now.sounding, "they ring on")
    help_arrives(station, panel, first)


def hung_it_is_ended_and_started_again(station: Station, panel: Device, first: Device) -> None:
    """And a press that was made meanwhile rings. Pages and chores do not need it."""
    machine = station.machine
    machine.run("kill", "-STOP", pid(station))
    panel.press("help")
    the_pages_answer(station)
    a_backup_is_made_and_sound(station)
    until(lambda: restarts(station) == 2, "the watchdog has ended it", within_s=BACK_WITHIN_S)
    assert machine.unit(RELAY, "NRestarts") == {"NRestarts": "2"}
    assert "watchdog" in station.machine.run("journalctl", "--no-pager", f"--unit={RELAY}").lower()
    # The journal gets a dead process's last lines when it comes to it, which can be after the next start.
    until(lambda: "run_loop" in station.journal(RELAY), "the journal says where each thread stood")
    until(lambda: first.now.sounding, "what was pressed meanwhile rings")
    until(lambda: alarms(station) == ["ringing"], "the relay has it")
    help_arrives(station, panel, first)


def the_pages_answer(station: Station) -> None:
    """Through the proxy; and the sandbox lets a password be hashed."""
    assert "<html" in station.type(f"{CURL} --location {PAGES}/")
    link = re.search(rf"{PAGES}(/link/set_password/\S+)", station.type("doorbell-relay account link wang"))
    assert link
    post = f"{CURL} --output /dev/null --write-out '%{{http_code}}' --header 'Origin: {PAGES}'"
    new = "--data-urlencode password='a good long one' --data-urlencode again='a good long one'"
    assert station.type(f"{post} {new} {PAGES}{link[1]}") == "303"
    signing = "--data-urlencode login=wang --data-urlencode password='a good long one' --data to=/"
    assert station.type(f"{post} {signing} {PAGES}/sign-in") == "303"


def a_backup_is_made_and_sound(station: Station) -> None:
    assert ".sqlite3" in station.follow("Back-ups")
    (made,) = backups(station)
    station.type(f"cp {DATA}/backups/{made} /srv/copy.sqlite3")
    assert "没有问题" in station.type("DOORBELL_RELAY_DATABASE=/srv/copy.sqlite3 doorbell-relay store verify")
    assert "柳奶奶".encode() not in station.root.inside("/srv/copy.sqlite3").read_bytes()
    for unit in (*CHORES, RENEW):
        station.machine.run("systemctl", "start", unit)
    waiting = station.machine.run("systemctl", "list-timers", "--all", "--no-legend")
    assert all(timer in waiting for timer in (*TIMERS, DAILY))


def it_stops_in_good_order(station: Station) -> None:
    machine = station.machine
    machine.run("systemctl", "stop", RELAY)
    assert machine.unit(RELAY, "ActiveState", "Result", "ExecMainStatus") == {
        "ActiveState": "inactive",
        "Result": "success",
        "ExecMainStatus": "0",
    }
    assert '"event": "relay.stopped"' in station.journal(RELAY)
    machine.run("systemctl", "start", RELAY)


def a_wrong_setting_is_told_and_waited_for(station: Station) -> None:
    machine, settings = station.machine, station.root.inside(f"{SETTINGS}/relay.toml")
    whole = settings.read_text("utf-8")
    settings.write_text(f"{whole}levell = 1\n", "utf-8")
    machine.ask("systemctl", "restart", RELAY)
    facts = ("ActiveState", "SubState", "ExecMainStatus", "NRestarts")
    assert machine.unit(RELAY, *facts) == dict(zip(facts, ("failed", "failed", "2", "0"), strict=True))
    assert f"{SETTINGS}/relay.toml: logs.levell" in station.journal(RELAY)
    settings.write_text(whole, "utf-8")
    machine.run("systemctl", "restart", RELAY)


def what_is_unsound_fails_the_chores_and_a_backup_mends_it(station: Station) -> None:
    """Those that timers start: nobody looks at them, so they must be seen among the failed units."""
    machine = station.machine
    machine.run("systemctl", "stop", RELAY, WEB)
    with closing(sqlite3.connect(station.root.inside(f"{DATA}/relay.sqlite3"), isolation_level=None)) as database:
        database.execute("UPDATE alarm SET deadline = 1")
    before = backups(station)
    for unit in (CHORES[0], CHORES[2]):
        machine.ask("systemctl", "start", unit)
        assert machine.unit(unit, "ActiveState") == {"ActiveState": "failed"}
        assert "(deadline)" in station.journal(unit)
    assert set(before) < set(backups(station)), "none is deleted while the new one is unsound"
    station.type(f"doorbell-relay store restore --yes {DATA}/backups/{before[-1]}")
    machine.run("systemctl", "start", RELAY, WEB)
    machine.run("systemctl", "start", CHORES[2])
    machine.run("systemctl", "reset-failed", *CHORES)


def another_release_takes_over_or_goes_back(station: Station) -> None:
    """One that does not accept the settings changes nothing, one that does not start is left again by itself."""
    root, machine = station.root, station.machine
    first = root.inside("/opt/love-doorbell/current").readlink()
    newer = root.inside("/srv/newer")
    newer.mkdir()
    for name in NEWER:
        shutil.copytree(ROOT / name, newer / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements-relay.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, newer)
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (newer / "pyproject.toml").write_text(re.sub(r'(?m)^version = ".*"', 'version = "99.0"', project), "utf-8")
    before, count = pid(station), len(backups(station))
    (upgrade,) = commands("Install")
    _, back = commands("Upgrading")
    told = station.type(upgrade, "/srv/newer")
    second = root.inside("/opt/love-doorbell/current").readlink()
    assert "99.0" in str(second)
    assert "99.0" in station.type("doorbell-relay --version")
    assert "已升级" in told
    assert machine.is_active(RELAY)
    assert pid(station) not in (before, "0")
    assert len(backups(station)) == count + 1
    assert "already" in station.type(upgrade, "/srv/newer")

    station.type(back, "/srv/newer")
    assert root.inside("/opt/love-doorbell/current").readlink() == first
    assert root.inside("/opt/love-doorbell/previous").readlink() == second
    (program,) = root.inside(f"/opt/love-doorbell/{second}").glob("lib/python*/site-packages/relay")
    for file, right, wrong, complaint in (
        ("settings.py", "    language: Language", "    lingua: Language", "does not accept the present settings"),
        ("commands/run.py", " runtime.start()", " runtime.begin()", "gone back to"),
    ):
        text = (program / file).read_text("utf-8")
        assert right in text
        (program / file).write_text(text.replace(right, wrong), "utf-8")
        running = pid(station)
        told = machine.complaint("sh", "-c", f"cd /srv/newer && {upgrade.removeprefix('sudo ')}")
        assert complaint in told
        assert (pid(station) == running) == (file == "settings.py"), "what runs is not touched before it must"
        assert root.inside("/opt/love-doorbell/current").readlink() == first
        assert machine.is_active(RELAY)
        (program / file).write_text(text, "utf-8")


def all_of_it_moves_to_another_machine(station: Station) -> None:
    """Which is this one again, after everything that would not be on another one is gone."""
    known = alarms(station, "--all")
    assert known
    lines = commands("Another machine")
    packed = next(number for number, line in enumerate(lines) if " tar -cz" in line)
    for line in lines[: packed + 1]:
        station.type(line)
    station.machine.run("sh", "-c", f"rm -r {SETTINGS} {DATA} /etc/mosquitto /var/lib/mosquitto")
    station.type(commands("Install")[0])  # and, below, once more: as the page says
    for line in lines[packed + 1 :]:
        station.type(line)
    assert '"status": "ok"' in station.follow("Start")
    assert alarms(station, "--all") == known
    for unit in (RELAY, WEB, "mosquitto.service", *TIMERS, DAILY):
        assert station.machine.run("systemctl", "is-enabled", unit) == "enabled"
    assert station.machine.run("systemctl", "--failed", "--no-legend") == ""


def removed_it_leaves_the_data(station: Station) -> None:
    told = station.type("sudo tools/install-relay.sh --uninstall")
    assert DATA in told
    for gone in ("/opt/love-doorbell", "/usr/local/bin/doorbell-relay", "/usr/local/lib/systemd/system/" + RELAY):
        assert not station.root.inside(gone).exists()
    for left in (f"{DATA}/relay.sqlite3", f"{SETTINGS}/privacy.key", f"{SETTINGS}/relay.toml"):
        assert station.root.inside(left).exists()
    assert station.machine.ask("systemctl", "list-unit-files", "doorbell-*", "--no-legend") == ""
