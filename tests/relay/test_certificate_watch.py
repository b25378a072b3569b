"""The relay sees in time that a certificate ends, whosever it is and whatever its clock says."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from doorbell.clock_doubt import SOFTWARE_EPOCH
from doorbell.settings import FallbackBroker, MqttSettings, TlsSettings
from relay.adapters.authority import Authority, create_authority
from relay.adapters.authority.ceremony import renew_issuing
from relay.adapters.authority.x509 import BACKDATED, ISSUING_LASTS, LASTS, ROOT_LASTS, load_certificate, pem_of
from relay.certificate_watch import LOOK_AGAIN_S, LOOK_S, TELL_EVERY_S, CertificateWatch
from relay.figures import Figures, Whose
from relay.issued import Purpose, Why
from relay.whole_files import write_whole
from tests.relay.identities import BEGAN, DAY, PASSPHRASE, Calendar, authority, calendar, chain_of, cheap

__all__ = ["authority", "calendar", "cheap"]
NOT_SYNCED, SYNCED = False, True


@dataclass
class Town:
    """A relay's files, and brokers that show what they are told to."""

    authority: Authority
    calendar: Calendar
    folder: Path
    synced: bool = True
    shows: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    mono_s: float = 1_000.0

    def __post_init__(self) -> None:
        self.figures = Figures(lambda: self.mono_s)
        self.tls = TlsSettings(**{key: self.folder / f"{key}.pem" for key in ("ca", "certificate", "key")})
        self.mqtt = MqttSettings(host="first", tls=self.tls, fallback=(FallbackBroker(host="second"),))
        self.issue_relay()
        for host in ("first", "second"):
            self.issue_broker(host)
        self.watch = self.new_watch()

    def new_watch(self) -> CertificateWatch:
        return CertificateWatch(
            self.mqtt,
            self.authority.folder,
            self.figures,
            show=self.show,
            now=self.calendar.now,
            synced=lambda: self.synced,
        )

    def issue_relay(self, **how: Any) -> None:
        made = self.authority.issue(Purpose.RELAY, "town", **how)
        write_whole(self.folder / "certificate.pem", made.chain)
        write_whole(self.folder / "ca.pem", made.ca)

    def issue_broker(self, host: str, **how: Any) -> None:
        made = self.authority.issue(Purpose.BROKER, host, hosts=(host,), **how)
        certificates = [*chain_of(made), load_certificate(made.ca)]
        self.shows[host] = tuple(ssl.PEM_cert_to_DER_cert(pem_of(one).decode()) for one in certificates)

    def show(self, broker: MqttSettings, _within_s: float) -> tuple[bytes, ...]:
        if broker.host in self.away:
            raise ConnectionRefusedError
        return self.shows[broker.host]

    def days(self) -> dict[Whose, float]:
        """What a look finds."""
        self.watch.look()
        return dict(self.figures.certificates.days)


@pytest.fixture
def town(authority: Authority, calendar: Calendar, tmp_path: Path) -> Town:
    return Town(authority, calendar, tmp_path)


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if "certificate" in line]


def test_the_end_of_everybodys_certificate_is_seen(town: Town) -> None:
    leaf, issuing, root = LASTS / DAY, ISSUING_LASTS / DAY, ROOT_LASTS / DAY
    ends = {Whose.RELAY: leaf, Whose.BROKER: leaf, Whose.AUTHORITY: root}
    ends |= dict.fromkeys((Whose.ISSUING, Whose.BROKER_ISSUING, Whose.SIGNING), issuing)
    assert town.days() == ends
    town.calendar.pass_by(100.5)
    assert town.days() == {whose: days - 100.5 for whose, days in ends.items()}
    assert not town.figures.certificates.clock_wrong


def test_the_broker_that_ends_first_counts_and_a_renewed_one_is_seen_at_the_next_look(town: Town) -> None:
    town.calendar.pass_by(300)
    town.issue_broker("first", replacing=Why.REPLACED)
    assert town.days()[Whose.BROKER] == LASTS / DAY - 300
    town.issue_broker("second", replacing=Why.REPLACED)
    assert town.days()[Whose.BROKER] == LASTS / DAY


def test_looks_every_hour_and_sooner_while_something_cannot_be_seen(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    assert town.watch.look() == LOOK_S <= 86_400
    town.mono_s += 50.0
    town.away.add("second")
    assert town.watch.look() == town.watch.look() == LOOK_AGAIN_S
    assert town.figures.certificates_s == 1_000.0, "when all were last seen"
    (line,) = told(capsys)
    assert "certificate.unseen" in line
    assert "second" in line
    town.away.clear()
    (town.folder / "certificate.pem").rename(town.folder / "elsewhere.pem")
    assert town.watch.look() == LOOK_AGAIN_S
    (town.folder / "elsewhere.pem").rename(town.folder / "certificate.pem")
    assert town.watch.look() == LOOK_S
    assert town.figures.certificates_s == 1_050.0


def test_what_a_broker_showed_last_counts_while_it_is_away(town: Town) -> None:
    town.watch.look()
    town.away |= {"first", "second"}
    town.calendar.pass_by(360)
    assert town.days()[Whose.BROKER] == LASTS / DAY - 360


def test_who_was_never_seen_is_not_told_to_be_well(town: Town) -> None:
    town.away |= {"first", "second"}
    assert not {Whose.BROKER, Whose.BROKER_ISSUING} & town.days().keys()
    town.mqtt = MqttSettings()
    town.watch = town.new_watch()
    assert town.days().keys() == {Whose.SIGNING}


def test_of_several_authorities_the_one_by_which_brokers_are_believed_counts(town: Town, tmp_path: Path) -> None:
    """While a town changes to a new authority both are in the file."""
    old = (town.folder / "ca.pem").read_bytes()
    later = Calendar(BEGAN + 3000 * DAY)
    new = create_authority(tmp_path / "new", "西湖山社区", PASSPHRASE, now=later.now)
    write_whole(town.folder / "ca.pem", new.ca + old)
    assert town.days()[Whose.AUTHORITY] == ROOT_LASTS / DAY
    town.away |= {"first", "second"}
    town.watch = town.new_watch()
    assert town.days()[Whose.AUTHORITY] == ROOT_LASTS / DAY + 3000


def test_who_signs_here_is_the_newest_issuing_authority(town: Town) -> None:
    town.calendar.pass_by(300)
    assert town.days()[Whose.SIGNING] == ISSUING_LASTS / DAY - 300
    renew_issuing(town.authority, PASSPHRASE)
    assert town.days()[Whose.SIGNING] == ISSUING_LASTS / DAY


def test_the_log_says_so_once_a_day_from_sixty_days_on_and_loudly_when_it_is_over(
    town: Town, capsys: pytest.CaptureFixture[str], allow_error_logs: list[dict[str, Any]]
) -> None:
    town.calendar.pass_by(LASTS / DAY - 60)
    town.watch.look()
    assert told(capsys) == []
    town.calendar.pass_by(0.5)
    for _ in range(24):
        town.watch.look()
        town.mono_s += TELL_EVERY_S / 24
    lines = told(capsys)
    assert [("whose=relay" in line, "whose=broker" in line) for line in lines] == [(True, False), (False, True)]
    assert all("certificate.ends" in line and "days=59" in line and "until=2027-11-30T08:00" in line for line in lines)
    town.watch.look()
    assert len(told(capsys)) == 2
    town.calendar.pass_by(60)
    town.watch.look()
    assert [line["event"] for line in allow_error_logs] == ["certificate.ended"] * 2
    assert {line["whose"] for line in allow_error_logs} == {"relay", "broker"}


@pytest.mark.parametrize("year", [1970, 2199])
def test_a_clock_that_is_lost_alarms_nobody_and_is_told(town: Town, year: int) -> None:
    """2199 is after the authority's end, which is its proof."""
    town.synced = NOT_SYNCED
    town.calendar.at = datetime(year, 1, 1, tzinfo=UTC)
    days = town.days()
    assert town.figures.certificates.clock_wrong
    assert min(days.values()) > 300
    assert max(days.values()) < ROOT_LASTS / DAY + BACKDATED / DAY + 1, "not thousands: days from what surely passed"


def test_a_clock_that_is_lost_hides_nothing_that_is_provable(
    town: Town, allow_error_logs: list[dict[str, Any]]
) -> None:
    """The relay's certificate ended before the broker's was made."""
    town.calendar.pass_by(LASTS / DAY + 40)
    town.issue_broker("first")
    town.synced = NOT_SYNCED
    town.calendar.at = datetime(1970, 1, 1, tzinfo=UTC)
    assert town.days()[Whose.RELAY] == -10, "the new one begins thirty days before it was made"
    assert {line["whose"] for line in allow_error_logs} == {"relay", "broker"}


@pytest.mark.parametrize("synced", [SYNCED, NOT_SYNCED])
def test_a_plausible_clock_is_believed(town: Town, synced: bool, allow_error_logs: list[dict[str, Any]]) -> None:
    town.synced = synced
    town.calendar.at = max(SOFTWARE_EPOCH, BEGAN) + LASTS + timedelta(days=3)
    assert town.days()[Whose.RELAY] == pytest.approx(-3, abs=0.01)
    assert not town.figures.certificates.clock_wrong


def test_it_looks_at_once_and_is_ended_at_once(town: Town) -> None:
    looked, show = threading.Event(), town.show

    def seen(broker: MqttSettings, within_s: float) -> tuple[bytes, ...]:
        chain = show(broker, within_s)
        if broker.host == "second":
            looked.set()
        return chain

    watch = CertificateWatch(town.mqtt, town.authority.folder, town.figures, show=seen, now=town.calendar.now)
    watch.start()
    assert looked.wait(10)
    watch.close()
    assert Whose.BROKER in town.figures.certificates.days


def test_a_bug_in_the_watch_does_not_end_it(town: Town, allow_error_logs: list[dict[str, Any]]) -> None:
    tried = threading.Event()

    def crash(_broker: MqttSettings, _within_s: float) -> tuple[bytes, ...]:
        tried.set()
        raise RuntimeError("a bug")

    watch = CertificateWatch(town.mqtt, town.authority.folder, town.figures, show=crash, now=town.calendar.now)
    watch.start()
    assert tried.wait(10)
    assert watch._thread.is_alive()
    watch.close()
    assert not watch._thread.is_alive()
    assert [line["event"] for line in allow_error_logs] == ["certificates.crashed"]
