"""``doorbell-relay authority renew``: what lies on this machine is renewed in time. With real brokers: tests/system."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from doorbell.certificates import read_identity_number, read_validities
from doorbell.service import ExitCode
from relay.adapters.authority import Authority, create_authority, renew_issuing
from relay.commands.renew_here import BEGIN, LEAST_GAIN
from relay.issued import Purpose, Why
from relay.whole_files import make_folder_whole
from sim.broker import free_port
from tests.relay.identities import PASSPHRASE, cheap
from tests.relay.office import EXAMPLE, Office

__all__ = ["cheap"]
DAY = timedelta(days=1)
LIFE_DAYS = 395
"""From thirty days before it was made."""
DUE_DAYS = round(LIFE_DAYS * BEGIN) - 30 + 1
RENEW = ("authority", "renew", "--language", "en")


class Machine:
    """A machine with the authority's folder, a relay's identity and perhaps a broker's, made some days ago."""

    def __init__(self, office: Office) -> None:
        self.office, self.folder = office, office.folder
        self.port = free_port()

    def make(self, *, days: float, authority_days: float = 0, broker: bool = False) -> None:
        then = datetime.now(UTC) - days * DAY
        create_authority(self.folder / "authority", "x", PASSPHRASE, now=lambda: then - authority_days * DAY)
        authority = Authority(self.folder / "authority", now=lambda: then)
        make_folder_whole(self.folder / "identity", authority.issue(Purpose.RELAY, "test").files())
        text = f'name = "test"\ndatabase = "data/relay.sqlite3"\n[mqtt]\nport = {self.port}\n[mqtt.tls]\n'
        text += "".join(f'{key} = "identity/{key}.pem"\n' for key in ("ca", "certificate", "key"))
        if broker:
            made = authority.issue(Purpose.BROKER, "first", hosts=("127.0.0.1", "bell.example.org"))
            make_folder_whole(self.folder / "broker", made.files())
            text += f'[broker]\ndirectory = "broker"\nlisten = "127.0.0.1"\nport = {self.port}\nunit = "x.service"\n'
        self.office.config.write_text(text, "utf-8")
        assert self.office.run("register", "import", str(EXAMPLE))[0] == 0

    def authority(self) -> Authority:
        return Authority(self.folder / "authority")

    def left_days(self, place: str = "identity") -> float:
        """Of the certificate in a folder."""
        return (read_validities(self.folder / place / "certificate.pem")[0].not_after - datetime.now(UTC)) / DAY

    def files(self) -> dict[Path, bytes]:
        return {
            path: path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.parent.name in ("identity", "broker", "authority")
        }


@pytest.fixture
def machine(cheap: None, office: Office, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.chdir(office.folder)
    return Machine(office)


@pytest.fixture
def systemctl(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A systemd that does what it is told, and tells what that was."""
    program = machine.folder / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {machine.folder}/asked\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(machine.folder), prepend=":")
    asked = machine.folder / "asked"
    return lambda: asked.read_text().splitlines() if asked.exists() else []


def test_two_thirds_of_a_life_are_waited_for_and_nothing_is_touched_before(machine: Machine) -> None:
    machine.make(days=DUE_DAYS - 2)
    before = machine.files()
    code, out, _ = machine.office.run(*RENEW)
    assert (code, "relay-test: good until" in out, "not due yet" in out) == (0, True, True)
    assert machine.files() == before


def test_then_it_is_renewed_once_and_stays_the_same_identity(machine: Machine) -> None:
    machine.make(days=DUE_DAYS)
    number = read_identity_number(machine.folder / "identity" / "certificate.pem")
    code, out, err = machine.office.run(*RENEW)
    assert (code, "relay-test: renewed, good until" in out, "takes it up by itself" in out) == (0, True, True)
    assert "could not be asked" in err, "no broker runs here"
    assert machine.left_days() == pytest.approx(365, abs=0.1)
    assert read_identity_number(machine.folder / "identity" / "certificate.pem") == number
    (identity,) = machine.authority().register()
    assert (len(identity.certificates), identity.number) == (2, number)
    assert machine.office.run(*RENEW)[1].startswith("relay-test: good until")
    code, out, _ = machine.office.run("audit", "list", "--json")
    assert '"renewing": true' in out or "renewing" in json.dumps(json.loads(out))


def test_a_dry_run_says_so_and_does_nothing_and_force_does_not_wait(machine: Machine) -> None:
    machine.make(days=1)
    before = machine.files()
    code, out, _ = machine.office.run(*RENEW, "--force", "--dry-run")
    assert (code, "relay-test: good until" in out, out.rstrip().endswith("due")) == (0, True, True)
    assert machine.files() == before
    assert machine.office.run(*RENEW, "--force")[0] == 0
    assert machine.left_days() == pytest.approx(365, abs=0.1)


def test_the_broker_gets_another_with_all_its_names_and_is_told(
    machine: Machine, systemctl: Callable[[], list[str]]
) -> None:
    machine.make(days=DUE_DAYS, broker=True)
    assert machine.office.run("broker", "config")[0] == 0
    configuration = (machine.folder / "broker" / "love-doorbell.conf").read_bytes()
    code, out, _ = machine.office.run(*RENEW)
    assert (code, "broker.first: renewed" in out, "relay-test: renewed" in out) == (0, True, True)
    assert systemctl() == ["reload -- x.service"]
    assert machine.left_days("broker") == pytest.approx(365, abs=0.1)
    broker = next(one for one in machine.authority().register() if one.purpose is Purpose.BROKER)
    assert broker.newest.hosts == ("127.0.0.1", "bell.example.org")
    assert (machine.folder / "broker" / "love-doorbell.conf").read_bytes() == configuration
    assert machine.office.run("broker", "config", "--check")[0] == 0


def test_a_broker_that_cannot_be_told_keeps_nobody_else_from_being_renewed(machine: Machine) -> None:
    machine.make(days=DUE_DAYS, broker=True)
    config = machine.office.config
    config.write_text(config.read_text("utf-8").replace('unit = "x.service"\n', ""), "utf-8")
    code, out, err = machine.office.run(*RENEW)
    assert (code, "relay-test: renewed" in out, "write unit or pid_file" in err) == (ExitCode.SETUP, True, True)


def test_what_would_not_last_longer_is_not_made_anew_each_day_and_a_person_is_called(machine: Machine) -> None:
    """The issuing authority ends, and with it all that it signs: only the root's key helps."""
    issuing_ends_in = LEAST_GAIN / DAY - 1
    machine.make(days=365, authority_days=365 - issuing_ends_in)
    before = machine.files()
    assert machine.left_days() == pytest.approx(0, abs=0.1)
    code, out, err = machine.office.run(*RENEW)
    assert (code, "renew-issuing" in err, "renewed" in out) == (0, True, False)
    assert machine.files() == before
    renew_issuing(machine.authority(), PASSPHRASE)
    code, _, err = machine.office.run(*RENEW)
    assert (code, "could not be asked" in err) == (ExitCode.SETUP, True), "a broker that may not know who signs now"
    assert machine.left_days() == pytest.approx(0, abs=0.1)


def test_one_that_has_ended_is_renewed_all_the_same(machine: Machine) -> None:
    """A machine that was off for months."""
    machine.make(days=370)
    number = read_identity_number(machine.folder / "identity" / "certificate.pem")
    assert machine.office.run(*RENEW)[0] == 0
    assert machine.left_days() == pytest.approx(360, abs=0.1), "with the issuing authority"
    assert read_identity_number(machine.folder / "identity" / "certificate.pem") == number


def test_what_was_taken_back_or_is_of_somebody_else_is_left_and_named(machine: Machine) -> None:
    machine.make(days=DUE_DAYS)
    machine.authority().revoke("relay-test", Why.STOLEN)
    before = machine.files()
    code, _, err = machine.office.run(*RENEW)
    assert (code, "identity/certificate.pem is not of this authority" in err.replace("\n", "")) == (0, True)
    machine.authority().issue(Purpose.RELAY, "test")
    assert machine.office.run(*RENEW)[0] == 0
    assert machine.left_days() == pytest.approx(365 - DUE_DAYS, abs=0.1), "its successor is elsewhere"
    assert {path for path, content in machine.files().items() if before.get(path) != content} == {
        machine.folder / "authority" / "issued.jsonl"
    }


def test_without_the_issuing_key_nothing_is_begun(machine: Machine) -> None:
    machine.make(days=DUE_DAYS)
    (machine.folder / "authority" / "issuing-1-key.pem").unlink()
    before = machine.files()
    code, _, err = machine.office.run(*RENEW)
    assert (code, "issuing-1-key.pem" in err) == (ExitCode.SETUP, True)
    assert machine.files() == before


def test_a_machine_without_an_authority_or_without_certificates_is_told(machine: Machine) -> None:
    machine.make(days=1)
    (machine.folder / "authority").rename(machine.folder / "elsewhere")
    assert machine.office.run(*RENEW)[0] == ExitCode.SETUP
    assert machine.office.run(*RENEW, "--folder", "elsewhere")[0] == 0
    machine.office.config.write_text('name = "test"\ndatabase = "data/relay.sqlite3"\n', "utf-8")
    code, _, err = machine.office.run(*RENEW, "--folder", "elsewhere")
    assert (code, "name no certificate" in err) == (ExitCode.SETUP, True)
