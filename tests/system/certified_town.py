"""A town of real processes in which everybody has an identity, and mutual TLS is on every link."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from relay.adapters.authority import Authority, create_authority
from relay.issued import Purpose
from relay.whole_files import make_folder_whole
from sim.broker import free_port
from tests.relay.identities import PASSPHRASE
from tests.system.brokers import Broker, MosquittoProcess, NatsProcess
from tests.system.town import FIRST, PANEL, RELAY, SECOND, Town


class CertifiedTown(Town):
    """A town in which everybody has an identity, and the broker its configuration from the register."""

    guests: tuple[str, ...] = ()
    """Registered devices with an identity, for whom no program runs."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._main = directory / "mosquitto.conf"
        port, log = free_port(), directory / "broker.log"
        broker: Broker = (
            MosquittoProcess(self._main, port, log, tls=True)
            if kind == "mosquitto"
            else NatsProcess(directory / "broker" / "love-doorbell.conf", port, log)
        )
        super().__init__(directory, kind, broker=broker)

    def made_at(self) -> datetime:
        """When the authority was made."""
        return datetime.now(UTC)

    def issued_at(self, _name: str) -> datetime:
        """When somebody was given their identity."""
        return datetime.now(UTC)

    def _start(self) -> None:
        folder = self._directory
        create_authority(folder / "authority", "西湖山小区", PASSPHRASE, now=self.made_at)
        for purpose, name, place in (
            (Purpose.BROKER, "first", "broker"),
            (Purpose.RELAY, "town", RELAY),
            *((Purpose.DEVICE, name, f"id-{name}") for name in (PANEL, FIRST, SECOND, *self.guests)),
        ):
            hosts = ("127.0.0.1",) if purpose is Purpose.BROKER else ()
            authority = Authority(folder / "authority", now=partial(self.issued_at, name))
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
