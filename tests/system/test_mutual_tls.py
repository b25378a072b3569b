"""From a press to a bell with mutual TLS on every link, by the configuration and the identities that we make."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.adapters.authority import create_authority, keys
from relay.issued import Purpose
from relay.whole_files import make_folder_whole
from sim.broker import free_port
from tests.relay.identities import PASSPHRASE, SCRYPT_N
from tests.system.brokers import Broker, MosquittoProcess, NatsProcess
from tests.system.processes import until
from tests.system.town import FIRST, PANEL, RELAY, SECOND, Town

pytestmark = [pytest.mark.system, pytest.mark.slow]


class CertifiedTown(Town):
    """A town in which everybody has an identity, and the broker its configuration from the register."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._main = directory / "mosquitto.conf"
        port, log = free_port(), directory / "broker.log"
        broker: Broker = (
            MosquittoProcess(self._main, port, log, tls=True)
            if kind == "mosquitto"
            else NatsProcess(directory / "broker" / "love-doorbell.conf", port, log)
        )
        super().__init__(directory, kind, broker=broker)

    def _start(self) -> None:
        folder = self._directory
        authority = create_authority(folder / "authority", "西湖山小区", PASSPHRASE)
        for purpose, name, place in (
            (Purpose.BROKER, "first", "broker"),
            (Purpose.RELAY, "town", RELAY),
            *((Purpose.DEVICE, name, f"id-{name}") for name in (PANEL, FIRST, SECOND)),
        ):
            hosts = ("127.0.0.1",) if purpose is Purpose.BROKER else ()
            make_folder_whole(folder / place, authority.issue(purpose, name, hosts=hosts).files())
        with self.relay_config.open("a", encoding="utf-8") as config:
            config.write(
                f'[broker]\nfor = "{self.kind}"\ndirectory = "broker"\nlisten = "127.0.0.1"\n'
                f'port = {self.broker.port}\ndata = "data"\nlog = "file {folder}/broker.log"\nuser = "root"\n'
            )
        (folder / "data").mkdir()
        self.ask_relay("register", "import", str(folder / "register.toml"))
        self.ask_relay("broker", "config")
        self._main.write_text(f"include_dir {folder / 'broker'}\n", "utf-8")
        super()._start()

    def _common(self, name: str) -> str:
        place = RELAY if name == "relay" else f"id-{name}"
        tls = f'ca = "{place}/ca.pem"\ncertificate = "{place}/certificate.pem"\nkey = "{place}/key.pem"\n'
        return super()._common(name).replace("\n[logs]", f"\n[mqtt.tls]\n{tls}\n[logs]")


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_press_rings_and_help_arrives_with_mutual_tls_everywhere(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)
    with CertifiedTown(tmp_path, kind) as town:
        town.panel.press("help")
        until(lambda: town.first.now.sounding, "the first bell sounds")
        town.help_arrives(town.first)
        assert len(town.lines_of("raised")) == 1
