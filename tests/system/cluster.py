"""Three NATS servers that are one MQTT broker: sessions and retained messages live on all three.

As docs/several-relays.md lays it out, on one machine: each server with a folder and ports of its own.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

from sim.broker import ACK_WAIT, HOST, MAX_ACK_PENDING, SYNC_INTERVAL, free_port, server_binary, speaks_mqtt
from tests.system.processes import die_with_us, until

START_S = 120.0
"""A server that comes back waits for the others' state: 10 s seen. Three that start on a busy disk: over 40 s."""


class ClusterNode:
    """One of the three; ``start`` again after ``kill`` continues on its folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.port, self.own_port, self.route_port, self.health_port = (free_port() for _ in range(4))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def configure(self, others: list[ClusterNode]) -> None:
        """Write its configuration: the lines of the operator's page."""
        self._folder.mkdir(parents=True, exist_ok=True)
        routes = [f"nats://{HOST}:{other.route_port}" for other in others]
        config = {
            "server_name": self.name,
            "host": HOST,
            "port": self.own_port,
            "http": f"{HOST}:{self.health_port}",
            "cluster": {"name": "doorbell", "host": HOST, "port": self.route_port, "routes": routes},
            "jetstream": {"store_dir": str(self._folder / "store"), "sync_interval": SYNC_INTERVAL},
            "mqtt": {
                "host": HOST,
                "port": self.port,
                "stream_replicas": 3,
                "max_ack_pending": MAX_ACK_PENDING,
                "ack_wait": ACK_WAIT,
            },
            "log_file": str(self._folder / "log"),
        }
        (self._folder / "nats.conf").write_text(json.dumps(config, indent=2), "utf-8")

    def start(self) -> None:
        """Start it; returns at once."""
        assert self.pid is None, f"{self.name} runs already"
        command = [*die_with_us(), str(server_binary()), "-c", str(self._folder / "nats.conf")]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)

    def kill(self) -> None:
        """End it as a power cut would."""
        if (process := self._process) is not None:
            process.kill()
            process.wait(10.0)
            self._process = None

    def await_service(self) -> None:
        """Wait until it takes MQTT clients, for which the cluster must have a majority."""
        until(lambda: speaks_mqtt(self.port), f"{self.name} speaks MQTT", START_S)

    def is_current(self) -> bool:
        """Whether it has all that the others have, of every stream and consumer, and a leader for each."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.health_port}/healthz", timeout=2.0) as answer:
                return int(answer.status) == 200
        except OSError:
            return False


class NatsCluster:
    """All three. ``with NatsCluster(folder) as cluster:``"""

    def __init__(self, folder: Path) -> None:
        self.nodes = [ClusterNode(f"node-{letter}", folder / letter) for letter in "abc"]
        for node in self.nodes:
            node.configure([other for other in self.nodes if other is not node])

    def start(self) -> None:
        """Start all and wait until they are one."""
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.await_service()
        self.await_current()

    def await_current(self) -> None:
        """Wait until any one of them may die: all three have everything."""
        until(lambda: all(node.is_current() for node in self.nodes), "every server is current", START_S, every_s=0.1)

    def stop(self) -> None:
        """End all."""
        for node in self.nodes:
            node.kill()
