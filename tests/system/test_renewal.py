"""A device whose certificate ends soon gets another by itself, whatever dies meanwhile, and rings as before."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.identity import ASKED, CURRENT, FOLDER, NEXT
from doorbell.link import LinkUp
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.wire import Channel, ClockState, Event, EventType, Topics, encode
from relay.adapters.authority import Authority, keys
from relay.core.renewal import Renewal
from tests.relay.identities import SCRYPT_N, request_of
from tests.system.certified_town import CertifiedTown
from tests.system.link_probe import LinkProbe
from tests.system.processes import ROOT, run_to_end, until
from tests.system.town import COMMUNITY, FIRST, OTHER_BELL

pytestmark = [pytest.mark.system, pytest.mark.slow]

AGE = timedelta(days=300)
"""65 days before its end, and after the last day on which a device of its age begins."""
RENEWED_S = 60.0
"""The clerk looks every ten seconds."""


class AgeingTown(CertifiedTown):
    """The first bell was given its identity long ago. Every device has a wall clock of its own, which was set."""

    guests = (OTHER_BELL,)

    def __init__(self, directory: Path, kind: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._clock, self._set = directory / "clock", directory / "clock-was-set"
        self.move_clock(0)
        self._set.touch()
        self._libraries = [directory / f"{name}.so" for name in ("wall_clock", "set_clock")]
        for library in self._libraries:
            source = ROOT / "tests" / "system" / f"{library.stem}.c"
            run_to_end(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", str(source), "-o", str(library)])
        super().__init__(directory, kind)
        self.authority_folder = directory / "authority"

    def made_at(self) -> datetime:
        return datetime.now(UTC) - AGE

    def issued_at(self, name: str) -> datetime:
        return datetime.now(UTC) - (AGE if name == FIRST else timedelta())

    def variables_of(self, name: str) -> dict[str, str]:
        if name == "relay":
            return {}
        return {
            "LD_PRELOAD": " ".join(map(str, self._libraries)),
            "WALL_CLOCK_FILE": str(self._clock),
            "CLOCK_SET_FILE": str(self._set),
        }

    def move_clock(self, ahead_s: int) -> None:
        """Of every device."""
        file = os.open(self._clock, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(file, ahead_s.to_bytes(8, sys.byteorder, signed=True), 0)
        finally:
            os.close(file)

    def forget_the_time(self) -> None:
        """A boot without NTP: it is 1970."""
        self._set.unlink()
        self.move_clock(-int(datetime.now(UTC).timestamp()))

    def has(self, *names: str) -> bool:
        """Whether the first bell has one of these files."""
        return any((self._directory / FIRST / FOLDER / name).exists() for name in names)

    def renewal(self, device: str = FIRST) -> Renewal | None:
        """How far the renewal of a device has come."""
        return next((row.state for row in self.store.renewals(devices=[device])), None)

    def rings(self) -> None:
        """A press rings the first bell, and help arrives."""
        self.panel.press("help")
        until(lambda: self.first.now.sounding, "the first bell sounds")
        self.help_arrives(self.first)

    def power_cut(self) -> None:
        """The first bell is dead in the middle of whatever it did, and begins anew."""
        self.kill("first")
        self.restart("first")
        self.await_rest()

    def certificates(self, device: str) -> int:
        """How many the authority has made for it."""
        standing = Authority(self.authority_folder).register().standing(device, datetime.now(UTC))
        return 0 if standing is None else len(standing.certificates)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_bell_renews_by_itself_and_rings_also_in_1970(tmp_path: Path, kind: str) -> None:
    with AgeingTown(tmp_path, kind) as town:
        until(lambda: town.renewal() is Renewal.TAKEN, f"it has taken it\n{town.last_words()}", RENEWED_S)
        assert (town.has(CURRENT), town.has(ASKED, NEXT), town.certificates(FIRST)) == (True, False, 2)
        town.await_rest()
        town.rings()
        for file in (tmp_path / f"id-{FIRST}").iterdir():
            if file.name == "key.pem":
                file.unlink()  # what connects from now on has the new one
        town.forget_the_time()
        town.power_cut()
        town.rings()
        assert town.certificates(FIRST) == 2


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_power_cut_at_each_step_costs_nothing(tmp_path: Path, kind: str) -> None:
    with AgeingTown(tmp_path, kind) as town:
        elsewhere = tmp_path / "safe"
        town.authority_folder = town.authority_folder.rename(elsewhere)
        until(lambda: town.has(ASKED), "there is a key", RENEWED_S)
        town.power_cut()
        until(lambda: town.renewal() is Renewal.WAITING, "the relay has the request", RENEWED_S)
        town.rings()
        told = town.ask_relay("authority", "renewals", "--sign", "--folder", str(elsewhere))
        assert FIRST in told
        until(lambda: town.has(NEXT, CURRENT), "there is a certificate", RENEWED_S)
        town.power_cut()
        until(lambda: town.has(CURRENT), "it is the one in use", RENEWED_S)
        town.power_cut()
        until(lambda: town.renewal() is Renewal.TAKEN, f"it has taken it\n{town.last_words()}", RENEWED_S)
        town.await_rest()
        town.rings()
        assert (town.has(ASKED, NEXT), town.certificates(FIRST)) == (False, 2)


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_nobody_gets_a_certificate_in_another_s_name(tmp_path: Path, kind: str) -> None:
    with AgeingTown(tmp_path, kind) as town:
        until(lambda: town.renewal() is Renewal.TAKEN, "the bell itself has asked", RENEWED_S)
        folder = tmp_path / f"id-{OTHER_BELL}"
        tls = TlsSettings(ca=folder / "ca.pem", certificate=folder / "certificate.pem", key=folder / "key.pem")
        probe = LinkProbe(MqttSettings(port=town.broker.port, tls=tls), OTHER_BELL, [], clean_session=True)
        try:
            probe.expect(LinkUp)
            said = Event(
                id="00000001-0000-4000-8000-000000000000",
                type=EventType.RENEW,
                at=datetime.now(UTC),
                age_ms=0,
                clock=ClockState.SYNCED,
                detail={"request": request_of(FIRST).decode()},
            )
            for name in (OTHER_BELL, FIRST):  # by its own way, and by the bell's, which the broker shuts
                assert probe.link.publish(Topics().of(COMMUNITY, name, Channel.EVENT), encode(said))
            until(lambda: town.renewal(OTHER_BELL) is Renewal.REFUSED, "it is refused", RENEWED_S)
        finally:
            probe.link.stop(2.0)
        assert (town.renewal(), town.certificates(FIRST), town.certificates(OTHER_BELL)) == (Renewal.TAKEN, 2, 1)
        town.rings()
