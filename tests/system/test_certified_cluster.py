"""Three NATS servers by the configuration that we write: one broker, and no device becomes a server of it."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doorbell.link import LinkDown, LinkUp
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.wire import Channel, Topics
from relay.adapters.authority import Authority, create_authority, keys
from relay.broker_nats import nats_configuration
from relay.broker_rights import access_of
from relay.broker_settings import BrokerKind, BrokerSettings, ClusterSettings
from relay.core.register import Device, DeviceRole, Register
from relay.issued import Purpose, Why
from relay.whole_files import make_folder_whole
from sim.broker import free_port
from tests.relay.identities import PASSPHRASE, SCRYPT_N
from tests.system.brokers import NatsProcess
from tests.system.intruder import Intruder, Papers
from tests.system.link_probe import LinkProbe, probing
from tests.system.processes import WITHIN_S, until

pytestmark = [pytest.mark.system, pytest.mark.slow]

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
REGISTER = Register(
    devices={name: Device(name, "west", DeviceRole.BELL, person="x") for name in ("bell-peng", "bell-gone")}
)
DESIRED = Topics().of("west", "bell-peng", Channel.DESIRED)
START_S = 120.0
"""Three that start on a busy disk: over 40 s."""


class Server:
    """One of the three, with an address of its own."""

    def __init__(self, folder: Path, host: str, ports: tuple[int, int], authority: Authority) -> None:
        self.host, self.port, self.route_port = host, *ports
        self._folder = folder
        made = authority.issue(Purpose.BROKER, folder.name, hosts=(host,))
        make_folder_whole(folder, made.files())
        cluster = ClusterSettings(others=tuple(one for one in HOSTS if one != host), listen=host, port=self.route_port)
        self._settings = BrokerSettings.model_validate(
            {
                "for": BrokerKind.NATS,
                "server_name": folder.name,
                "listen": host,
                "port": self.port,
                "data": folder / "data",
                "log": f"file {folder}/log",
                "cluster": cluster,
            }
        )
        self.configure(authority)
        self.process = NatsProcess(self._configuration, self.port, folder / "log", host)

    @property
    def _configuration(self) -> Path:
        return self._folder / "love-doorbell.conf"

    def configure(self, authority: Authority) -> None:
        """Write what follows from what is issued now."""
        rights = access_of(REGISTER, authority.register(), Topics(), datetime.now(UTC)).rights
        self._configuration.write_text(nats_configuration(self._settings, self._folder, rights), "utf-8")

    def link_of(self, papers: Papers) -> MqttSettings:
        """How somebody reaches this one."""
        tls = TlsSettings(ca=papers.ca, certificate=papers.certificate, key=papers.key)
        return MqttSettings(host=self.host, port=self.port, backoff_min_s=0.02, backoff_max_s=0.05, tls=tls)

    def greets(self, papers: Papers) -> bool:
        """Whether a server with these papers is let into the cluster."""
        context = papers.context()
        with (
            socket.create_connection((self.host, self.route_port), timeout=WITHIN_S) as raw,
            context.wrap_socket(raw, server_hostname=self.host) as route,
            route.makefile("rb") as lines,
        ):
            route.sendall(b'CONNECT {"verbose":false,"server_name":"another","cluster":"doorbell"}\r\nPING\r\n')
            return next(word for line in lines if (word := line.split()[0]) in (b"PONG", b"-ERR")) == b"PONG"

    def lets_in(self, papers: Papers, name: str) -> bool:
        """Whether a device is let in at this one."""
        try:
            with Intruder(self.port, papers.context(), self.host) as one:
                return one.connect(name) == 0
        except (OSError, EOFError):
            return False


def test_three_servers_are_one_broker_that_no_device_joins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "SCRYPT_N", SCRYPT_N)
    authority = create_authority(tmp_path / "authority", "x", PASSPHRASE)
    for purpose, name in ((Purpose.RELAY, "main"), (Purpose.DEVICE, "bell-peng"), (Purpose.DEVICE, "bell-gone")):
        make_folder_whole(tmp_path / name, authority.issue(purpose, name).files())
    relay, bell, gone = (Papers.of(tmp_path / name) for name in ("main", "bell-peng", "bell-gone"))
    ports = (free_port(), free_port())
    servers = [Server(tmp_path / f"nats-{n}", host, ports, authority) for n, host in enumerate(HOSTS, 1)]
    with ExitStack() as running:
        for server in servers:
            running.callback(server.process.stop)
            server.process.start()
        for server in servers:
            until(lambda server=server: server.lets_in(bell, "bell-peng"), f"{server.host} lets in", START_S)  # type: ignore[misc]
        assert not servers[0].greets(bell)
        assert servers[0].greets(Papers.of(tmp_path / "nats-2"))

        said = running.enter_context(probing(servers[0].link_of(relay), "relay-main"))
        heard = running.enter_context(probing(servers[1].link_of(bell), "bell-peng", [(DESIRED, 1)]))
        assert said.link.publish(DESIRED, b"from another server", retain=True)
        heard.message(DESIRED, b"from another server")

        thief = LinkProbe(servers[2].link_of(gone), "bell-gone")
        running.callback(thief.link.stop, 2.0)
        thief.expect_next(LinkUp)
        authority.revoke("bell-gone", Why.STOLEN)
        for server in servers:
            server.configure(authority)
            server.process.reload()
        thief.expect_next(LinkDown)
        assert not any(server.lets_in(gone, "bell-gone") for server in servers)
        assert said.events.empty()
        assert heard.events.empty()
