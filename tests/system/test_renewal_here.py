"""The relay's and the broker's certificates are renewed under a town that lives, and nothing of a press is lost."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from doorbell.certificates import read_first
from doorbell.dial import ask_chain
from doorbell.settings import MqttSettings, TlsSettings
from relay.adapters.authority import keys
from relay.issued import BROKER_ALIAS
from tests.relay.identities import SCRYPT_N
from tests.system.certified_town import CertifiedTown
from tests.system.processes import until
from tests.system.town import RELAY

pytestmark = [pytest.mark.system, pytest.mark.slow]

AGE = timedelta(days=300)
"""Two thirds of the life of a certificate that is so old are over."""
TAKEN_UP_S = 30.0
"""The relay looks at its file every ten seconds."""


class AgedTown(CertifiedTown):
    """Authority, broker and relay are of long ago; the devices are new."""

    def __init__(self, directory: Path, kind: str) -> None:
        super().__init__(directory, kind)
        self.pid_file = directory / "broker.pid"

    def made_at(self) -> datetime:
        return datetime.now(UTC) - AGE

    def issued_at(self, name: str) -> datetime:
        return datetime.now(UTC) - (AGE if name in ("first", "town") else timedelta())

    def _start(self) -> None:
        super()._start()
        with self.relay_config.open("a", encoding="utf-8") as config:
            config.write(f'pid_file = "{self.pid_file}"\n')

    def tell_pid(self) -> None:
        """Now the broker can be told to read its files."""
        self.pid_file.write_text(f"{self.broker.pid}\n", "ascii")

    def in_file(self, place: str) -> bytes | None:
        return read_first(self._directory / place / "certificate.pem")

    def shown(self) -> bytes:
        """The certificate that the broker shows now."""
        tls = {key: self._directory / RELAY / f"{key}.pem" for key in ("ca", "certificate", "key")}
        settings = MqttSettings(port=self.broker.port, tls=TlsSettings(server_name=BROKER_ALIAS, **tls))
        return ask_chain(settings, 10.0)[0]

    def relay_has_taken_it_up(self) -> bool:
        """Left the broker for it and come back."""
        lines = [line["event"] for line in self.relay.lines()]
        return "certificate.taken_up" in lines and "link.up" in lines[lines.index("certificate.taken_up") :]

    def rings(self) -> None:
        self.panel.press("help")
        until(lambda: self.first.now.sounding, f"the first bell sounds\n{self.last_words()}")
        self.help_arrives(self.first)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_both_are_renewed_while_an_alarm_is_open_and_nothing_is_lost(tmp_path: Path, kind: str) -> None:
    with AgedTown(tmp_path, kind) as town:
        town.tell_pid()
        old_relay, old_broker = town.in_file(RELAY), town.in_file("broker")
        assert town.shown() == old_broker
        town.panel.press("help")
        until(lambda: town.first.now.sounding, "the first bell sounds")
        told = town.ask_relay("authority", "renew", "--language", "en")
        assert "broker.first: renewed" in told
        assert f"{RELAY}: renewed" in told
        until(lambda: town.shown() == town.in_file("broker") != old_broker, "the broker shows the new one")
        assert town.in_file(RELAY) != old_relay
        town.help_arrives(town.first)
        until(town.relay_has_taken_it_up, f"the relay connects with the new one\n{town.last_words()}", TAKEN_UP_S)
        lines = [line["event"] for line in town.relay.lines()]
        assert lines.index("certificate.taken_up") > lines.index("alarm.accepted"), "not while a bell rang"
        town.await_rest()
        town.rings()
        for name in ("broker", "relay", "panel", "first"):
            town.kill(name)
        for name in ("broker", "relay", "panel", "first"):
            town.restart(name)  # on nothing but what is on the disk
        town.await_rest()
        town.rings()
        assert (len(town.lines_of("raised")), town.open_alarms()) == (3, 0)
        assert [line.alarm for line in town.lines_of("closed")] == [line.alarm for line in town.lines_of("raised")]
        assert town.ask_relay("authority", "renew", "--language", "en").count("not due yet") == 2


def test_a_broker_that_was_not_told_is_told_by_the_next_run(tmp_path: Path) -> None:
    """Killed between the writing and the telling: nothing is due any more, and the broker shows the old one still."""
    with AgedTown(tmp_path, "mosquitto") as town:
        old = town.in_file("broker")
        with pytest.raises(AssertionError, match=r"broker\.pid"):
            town.ask_relay("authority", "renew")
        assert town.shown() == old != town.in_file("broker")
        town.tell_pid()
        assert town.ask_relay("authority", "renew", "--language", "en").count("not due yet") == 2
        until(lambda: town.shown() == town.in_file("broker"), "the broker shows the new one")
        assert ssl.DER_cert_to_PEM_cert(town.shown()) in (tmp_path / "broker" / "certificate.pem").read_text("ascii")
        town.rings()
