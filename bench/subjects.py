"""What ``bench/relay.py`` measures: a broker, and on it the relay, the floor or Node-RED, each its own process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sim.broker import EmbeddedBroker

ROOT = Path(__file__).resolve().parent.parent
NODE_RED = "4.1.1"
NODE_RED_WAIT_S = 60.0
PEER = ROOT / "bench" / "peers" / "nodered"


@dataclass
class Subject:
    """A process that is to ring: ``kind`` floor, relay or nodered; ``port`` of the broker; ``scratch`` for its files.

    ``database``: the relay's, if it is not an SQLite file in ``scratch``. ``open_alarms``: a relay's database whose
    open alarms the floor takes up at its start.
    """

    kind: str
    port: int
    scratch: Path
    database: str = ""
    open_alarms: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def database_file(self) -> Path:
        """Where the relay keeps what it knows, with SQLite."""
        return self.scratch / "relay.db"

    def start(self) -> None:
        """Begin to run; whether it is ready is seen by its first ring."""
        environment = {**os.environ}
        if self.kind == "relay":
            words = [sys.executable, "-m", "relay", "run", "--config", str(self.config())]
        elif self.kind == "floor":
            floor = ROOT / "bench" / "floor.py"
            words = [sys.executable, str(floor), str(self.port), str(self.scratch / "floor.db")]
            words += [str(self.open_alarms)] if self.open_alarms else []
        else:
            environment |= {"MQTT_PORT": str(self.port), "NODE_RED_PORT": str(free_port()), "STEP_WAIT_S": "86400"}
            words = ["node", str(_node_red()), "--userDir", str(self._user_dir())]
        with (self.scratch / f"{self.kind}.log").open("ab") as log:
            self.process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def import_register(self, households: int) -> None:
        """Give the relay a register of so many homes, each with a panel, a volunteer and a bell."""
        if self.kind == "relay":
            write_register(self.scratch / "register.toml", households)
            words = [sys.executable, "-m", "relay", "register", "import", str(self.scratch / "register.toml")]
            words += ["--config", str(self.config())]
            subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """As if the power had gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In good order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def cpu_s(self) -> float:
        """Seconds of processor that it has used."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Memory that is its own, in MiB."""
        for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit(f"{self.kind} has ended: see {self.scratch}")

    @property
    def _pid(self) -> int:
        if self.process is None or self.process.poll() is not None:
            raise SystemExit(f"{self.kind} has ended: {(self.scratch / f'{self.kind}.log').read_text()[-2000:]}")
        return self.process.pid

    def config(self) -> Path:
        """The relay's settings, written."""
        config = self.scratch / "relay.toml"
        database = self.database or str(self.database_file)
        config.write_text(f'name = "bench"\ndatabase = "{database}"\n[mqtt]\nhost = "127.0.0.1"\nport = {self.port}\n')
        return config

    def _user_dir(self) -> Path:
        folder = self.scratch / "nodered"
        folder.mkdir(exist_ok=True)
        for name in ("flow.json", "settings.js"):
            shutil.copy(PEER / name, folder)
        return folder


def write_register(path: Path, households: int) -> None:
    """One community; every volunteer is called at once and for a day, so that nothing but the presses happens."""
    lines = ['[[community]]\nid = "bench"\nname = "bench"\n']
    lines.append(
        '[[policy]]\nid = "one-step"\narrive_wait_s = 86400\nsteps = [{call = ["volunteer:1"], wait_s = 86400}]\n'
    )
    for n in range(households):
        lines.append(f'[[person]]\nid = "person-{n}"\ncommunity = "bench"\nname = "志愿者{n}"\nbells = ["bell-{n}"]\n')
        lines.append(
            f'[[household]]\nid = "home-{n}"\ncommunity = "bench"\nlabel = "柳奶奶{n}"\nplace = "3栋{n}"\n'
            f'panels = ["panel-{n}"]\nvolunteers = ["person-{n}"]\npolicies = {{ help = "one-step" }}\n'
        )
    path.write_text("".join(lines), encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# Node-RED


def node_red_missing() -> str | None:
    """Why Node-RED cannot be measured; None if it is there, or has just been installed."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "Node-RED is left out: there is no npm (install nodejs and npm to measure it)"
    if _node_red().exists():
        return None
    folder = _node_red_folder()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"installing Node-RED {NODE_RED} into {folder} …", file=sys.stderr, flush=True)
    words = ["npm", "install", "--no-fund", "--no-audit", "--omit=optional", f"node-red@{NODE_RED}"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"Node-RED is left out: npm failed: {done.stderr.strip()[-300:]}"


def _node_red_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "love-doorbell" / f"node-red-{NODE_RED}"


def _node_red() -> Path:
    return _node_red_folder() / "node_modules" / "node-red" / "red.js"


# ---------------------------------------------------------------------------------------------------------------------
# Brokers


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running_broker(kind: str, scratch: Path) -> Iterator[int]:
    """A fresh broker; gives its MQTT port."""
    if kind == "nats":
        with EmbeddedBroker(scratch / "nats") as broker:
            yield broker.port
        return
    port = free_port()
    config = scratch / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n"
        "max_inflight_messages 0\n"
    )
    with subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
