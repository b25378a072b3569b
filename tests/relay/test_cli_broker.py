"""``doorbell-relay broker``: what a person at the office types and reads. With real brokers: tests/system."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorbell.service import ExitCode
from relay.adapters.authority import create_authority, keys
from relay.commands.program import main
from relay.issued import BROKER_ALIAS, Purpose
from relay.whole_files import make_folder_whole
from sim.broker import free_port
from tests.relay.identities import PASSPHRASE, SCRYPT_N
from tests.relay.office import EXAMPLE, Office

BROKER = '[broker]\nfor = "mosquitto"\ndirectory = "broker"\npid_file = "broker.pid"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a register, an authority, a broker's identity, a relay's and two devices'; made once."""
    folder = tmp_path_factory.mktemp("made")
    config = folder / "relay.toml"
    config.write_text(f'name = "test"\ndatabase = "data/relay.sqlite3"\n{BROKER}', encoding="utf-8")
    assert main(["register", "import", str(EXAMPLE), "--config", str(config)]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "SCRYPT_N", SCRYPT_N)
        authority = create_authority(folder / "authority", "x", PASSPHRASE)
    for purpose, name, place in (
        (Purpose.BROKER, "first", "broker"),
        (Purpose.RELAY, "test", "relay-test"),
        (Purpose.DEVICE, "bell-peng", "bell-peng"),
        (Purpose.DEVICE, "button-liu", "button-liu"),
    ):
        hosts = ("127.0.0.1",) if purpose is Purpose.BROKER else ()
        make_folder_whole(folder / place, authority.issue(purpose, name, hosts=hosts).files())
    return folder


@pytest.fixture
def walled(made: Path, office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office with all of it, which stands in its own folder."""
    shutil.copytree(made, office.folder, dirs_exist_ok=True)
    monkeypatch.chdir(office.folder)
    return office


def contents(office: Office) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (office.folder / "broker").iterdir()}


def test_a_configuration_is_written_once_and_is_current_then(walled: Office) -> None:
    code, out, _ = walled.run("broker", "config", "--check")
    assert (code, "love-doorbell.conf" in out) == (1, True)
    code, out, err = walled.run("broker", "config", "--language", "en")
    assert (code, "let in: 2 device(s), 1 relay(s)" in out, "include_dir" in out) == (0, True, True)
    assert "have no identity, and are not let in: " in err
    before = contents(walled)
    assert set(before) == {"love-doorbell.conf", "acl", "ca.pem", "revoked.pem", "certificate.pem", "key.pem"}
    code, out, _ = walled.run("broker", "config", "--check", "--language", "en")
    assert (code, "is current" in out) == (0, True)
    assert walled.run("broker", "config")[0] == 0
    assert contents(walled) == before
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (walled.folder / "broker").iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (("authority", "issue", "device", "bell-wu"), "acl"),
        (("authority", "issue", "device", "bell-nobody"), ""),
        (("authority", "issue", "device", "bell-peng", "--replace", "broken", "--to", "again"), "revoked.pem"),
    ],
)
def test_what_changes_makes_it_outdated(walled: Office, words: tuple[str, ...], files: str) -> None:
    assert walled.run("broker", "config")[0] == 0
    assert walled.run(*words)[0] == 0
    code, out, _ = walled.run("broker", "config", "--check")
    assert (code, files in out) == (1 if files else 0, True)
    assert walled.run("broker", "config")[0] == 0
    assert walled.run("broker", "config", "--check")[0] == 0


def test_a_file_that_somebody_has_edited_is_put_right(walled: Office) -> None:
    assert walled.run("broker", "config")[0] == 0
    before = contents(walled)
    acl = walled.folder / "broker" / "acl"
    acl.write_text(acl.read_text("utf-8") + "topic readwrite #\n", "utf-8")
    assert walled.run("broker", "config", "--check")[0] == 1
    assert walled.run("broker", "config")[0] == 0
    assert contents(walled) == before


def test_without_its_own_identity_there_is_no_broker(walled: Office) -> None:
    for remove, reason in (("key.pem", "issue broker"), ("certificate.pem", "issue broker")):
        kept = (walled.folder / "broker" / remove).read_bytes()
        (walled.folder / "broker" / remove).unlink()
        code, _, err = walled.run("broker", "config")
        assert (code, reason in err) == (ExitCode.SETUP, True)
        (walled.folder / "broker" / remove).write_bytes(kept)
    device = (walled.folder / "bell-peng" / "certificate.pem").read_bytes()
    for wrong in (b"rubbish", device):
        (walled.folder / "broker" / "certificate.pem").write_bytes(wrong)
        code, _, err = walled.run("broker", "config", "--language", "en")
        assert (code, "no certificate of a broker" in err) == (ExitCode.SETUP, True)


def test_a_broker_that_was_taken_back_is_not_configured(walled: Office) -> None:
    with walled.config.open("r+", encoding="utf-8") as config:
        kept = config.read()
        config.seek(0)
        config.truncate()
        config.write(kept.replace(BROKER, ""))
    assert walled.run("authority", "revoke", "broker.first", "--why", "stolen")[0] == 0
    code, _, err = walled.run("broker", "config", "--for", "mosquitto", "broker", "--language", "en")
    assert (code, "no certificate of a broker" in err) == (ExitCode.SETUP, True)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Something that ends when it is told to read its configuration again."""
    program = "import signal; signal.sigwait([signal.SIGHUP])"
    blocked = "import signal, os, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP]); "
    with subprocess.Popen([sys.executable, "-c", f"{blocked}print(1, flush=True); {program}"], stdout=-1) as made:
        assert made.stdout is not None
        made.stdout.readline()
        yield made
        made.kill()


def test_a_broker_is_told_by_its_process_number(walled: Office, process: subprocess.Popen[bytes]) -> None:
    (walled.folder / "broker.pid").write_text(f"{process.pid}\n", "ascii")
    code, _, err = walled.run("broker", "reload", "--language", "en")
    assert (code, "is not current" in err, process.poll()) == (ExitCode.SETUP, True, None)
    assert walled.run("broker", "config")[0] == 0
    code, out, _ = walled.run("broker", "reload", "--language", "en")
    assert (code, "has been told" in out, "nobody's connection" in out) == (0, True, True)
    assert process.wait(20) == 0


@pytest.mark.parametrize("content", ["", "x", "-1", "0", "1", str(2**22 + 1)])
def test_a_number_of_no_process_is_refused(walled: Office, content: str) -> None:
    assert walled.run("broker", "config")[0] == 0
    (walled.folder / "broker.pid").write_text(content, "ascii")
    code, _, err = walled.run("broker", "reload")
    assert (code, "broker.pid" in err) == (ExitCode.SETUP, True)


def test_a_unit_is_reloaded_by_systemd(walled: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    program = walled.folder / "systemctl"
    program.write_text(
        '#!/bin/sh\necho "$@" >> asked\n[ "$3" = mosquitto.service ] || { echo no such unit >&2; exit 5; }\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{walled.folder}:{os.environ['PATH']}")
    assert walled.run("broker", "config")[0] == 0
    assert walled.run("broker", "reload", "--systemd", "mosquitto.service")[0] == 0
    code, _, err = walled.run("broker", "reload", "--systemd", "other.service")
    assert (code, "no such unit" in err) == (ExitCode.SETUP, True)
    assert (walled.folder / "asked").read_text() == "reload -- mosquitto.service\nreload -- other.service\n"


def test_one_command_locks_out_and_says_what_it_could_not_do(walled: Office, process: subprocess.Popen[bytes]) -> None:
    """Here no broker is to be reached: the list and the rights are written and read, the connection is not ended."""
    assert walled.run("broker", "config")[0] == 0
    (walled.folder / "broker.pid").write_text(f"{process.pid}", "ascii")
    code, out, err = walled.run("authority", "revoke", "bell-peng", "--why", "stolen", "--language", "en")
    assert (code, "[mqtt.tls]" in err) == (ExitCode.SETUP, True)
    assert "took bell-peng back (stolen)" in out
    assert "has been told" in out
    assert b"bell-peng" not in (walled.folder / "broker" / "acl").read_bytes()
    assert process.wait(20) == 0


def test_a_way_to_reload_must_be_known_and_only_one(walled: Office) -> None:
    kept = walled.config.read_text("utf-8")
    walled.config.write_text(kept.replace('pid_file = "broker.pid"\n', ""), "utf-8")
    assert walled.run("broker", "config")[0] == 0
    code, _, err = walled.run("broker", "reload")
    assert (code, "unit" in err) == (ExitCode.SETUP, True)
    walled.config.write_text(f'{kept}unit = "mosquitto.service"\n', "utf-8")
    code, _, err = walled.run("broker", "config")
    assert (code, "both unit and pid_file" in err) == (ExitCode.SETUP, True)


@pytest.mark.parametrize("line", ['log = "file /x\\nallow_anonymous true"', 'user = ""', "port = 0", 'for = "emqx"'])
def test_a_setting_cannot_bring_in_lines_of_its_own(walled: Office, line: str) -> None:
    kept = walled.config.read_text("utf-8").replace('for = "mosquitto"\n', "")
    walled.config.write_text(f"{kept}{line}\n", "utf-8")
    assert walled.run("broker", "config")[0] == ExitCode.SETUP


@pytest.mark.parametrize(
    "line", ['listen = "0.0.0.0\\nallow_anonymous true"', 'user = "a\\nb"', 'data = "a\\nb"', 'directory = "a\\nb"']
)
def test_no_name_of_the_configuration_has_a_line_break(walled: Office, line: str) -> None:
    kept = walled.config.read_text("utf-8").replace('directory = "broker"\n', "")
    walled.config.write_text(f"{kept}{line}\n", "utf-8")
    assert walled.run("broker", "config")[0] == ExitCode.SETUP


def test_a_nats_server_gets_one_file_in_which_those_who_stand_are_users(walled: Office) -> None:
    kept = walled.config.read_text("utf-8")
    walled.config.write_text(kept.replace('"mosquitto"', '"nats"'), "utf-8")
    code, out, _ = walled.run("broker", "config", "--language", "en")
    assert (code, "nats-server -c" in out) == (0, True)
    told = json.loads((walled.folder / "broker" / "love-doorbell.conf").read_text("utf-8"))
    users = told["authorization"]["users"]
    assert [one["user"].partition("CN=")[2] for one in users] == [
        "bell-peng",
        "button-liu",
        "relay-test",
        "broker.first",
    ]
    assert users[0]["permissions"] == {
        "publish": {
            "allow": [f"doorbell.v1.xihushan.bell-peng.{what}" for what in ("event", "reported", "online", "peer.*")]
        },
        "subscribe": {
            "allow": [
                "doorbell.v1.xihushan.bell-peng.desired",
                "doorbell.v1.xihushan.*.peer.bell-peng",
                "$MQTT.sub.>",
            ]
        },
    }
    assert walled.run("authority", "issue", "device", "bell-peng", "--replace", "broken", "--to", "again")[0] == 0
    assert walled.run("broker", "config", "--check")[0] == 1
    assert walled.run("broker", "config")[0] == 0
    again = json.loads((walled.folder / "broker" / "love-doorbell.conf").read_text("utf-8"))["authorization"]["users"]
    assert (len(again), again[0]["user"] != users[0]["user"], again[1:3]) == (4, True, users[1:3])
    for told_users in (users, again):
        rights = told_users[3]["permissions"]
        assert rights["subscribe"]["allow"] == [*rights["publish"]["allow"], "$MQTT.sub.>"]
        assert re.fullmatch(r"doorbell-read\.[0-9a-f]{32}", rights["publish"]["allow"][0])
    assert users[3]["permissions"] != again[3]["permissions"], "the mark is that of the whole configuration"


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_broker_that_does_not_answer_is_told_and_asked_again_the_next_time(
    walled: Office, process: subprocess.Popen[bytes], kind: str
) -> None:
    identity = walled.folder / "relay-test"
    tls = "\n".join(f'{key} = "{identity}/{key}.pem"' for key in ("certificate", "key", "ca"))
    kept = walled.config.read_text("utf-8").replace("mosquitto", kind)
    walled.config.write_text(f"{kept}[mqtt]\nport = {free_port()}\n[mqtt.tls]\n{tls}\n", "utf-8")
    (walled.folder / "broker.pid").write_text(f"{process.pid}", "ascii")
    assert walled.run("broker", "config")[0] == 0
    code, _, err = walled.run("authority", "revoke", "bell-peng", "--why", "stolen", "--language", "en")
    assert (code, "bell-peng could not be ended (127.0.0.1: nothing listens" in err) == (ExitCode.SETUP, True)
    assert process.wait(20) == 0
    assert not (walled.folder / "broker" / "cut").exists()


def test_the_servers_of_a_cluster_know_each_other_by_a_brokers_certificate(walled: Office) -> None:
    kept = walled.config.read_text("utf-8")
    cluster = '[broker.cluster]\nothers = ["192.168.1.11", "fd00::2"]\n'
    walled.config.write_text(f"{kept}{cluster}", "utf-8")
    code, _, err = walled.run("broker", "config")
    assert (code, "NATS" in err) == (ExitCode.SETUP, True)
    walled.config.write_text(f"{kept.replace('mosquitto', 'nats')}{cluster}", "utf-8")
    assert walled.run("broker", "config")[0] == 0
    told = json.loads((walled.folder / "broker" / "love-doorbell.conf").read_text("utf-8"))
    assert told["cluster"]["routes"] == ["nats://192.168.1.11:6222", "nats://[fd00::2]:6222"]
    assert told["cluster"]["tls"]["verify_and_map"]
    assert told["cluster"]["authorization"] == {"user": BROKER_ALIAS}
    assert told["mqtt"]["stream_replicas"] == 3
