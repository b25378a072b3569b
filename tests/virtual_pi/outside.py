"""What stands outside the virtual Pi, real and on loopback: a broker, a relay, and a view of what the relay has."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from relay.adapters.store import SqlStore
from relay.adapters.store_rows import JournalLine, from_ms
from tests.system.brokers import MosquittoBroker
from tests.system.processes import Program, run_to_end

COMMUNITY, PANEL, BELL = "xihushan", "panel-liu", "bell-peng"
REGISTER = f"""
[[community]]
id = "{COMMUNITY}"
name = "西湖山小区"

[[person]]
id = "peng"
community = "{COMMUNITY}"
name = "彭小平"
bells = ["{BELL}"]

[[household]]
id = "liu"
community = "{COMMUNITY}"
label = "柳奶奶"
place = "西湖山小区 3栋502"
panels = ["{PANEL}"]
volunteers = ["peng"]
policies = {{ help = "patient" }}

[[policy]]
id = "patient"
arrive_wait_s = 3600
steps = [{{ call = ["volunteers"], wait_s = 3600 }}]
"""
"""Nothing here is decided by a deadline: an emulated machine is slow, and not slow in the way of a real one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as the relay has it. ``seq``: the device's own count."""

    id: str
    type: str
    seq: int
    at: datetime
    clock: str
    detail: dict[str, Any]


class Outside:
    """``with Outside(directory) as outside:`` the broker listens on ``port``, the relay is connected."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._database = directory / "relay.sqlite3"
        self._config = directory / "relay.toml"
        self.broker = MosquittoBroker(directory / "broker")
        self.relay = Program("relay", [sys.executable, "-m", "relay", "run", "--config", str(self._config)], directory)
        self._leaving = ExitStack()

    @property
    def port(self) -> int:
        """The broker's."""
        return self.broker.port

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.broker.stop)
            self.broker.start()
            backoff = "backoff_min_s = 0.1\nbackoff_max_s = 0.5\n"
            self._config.write_text(
                f'name = "outside"\ndatabase = "{self._database.name}"\n\n[mqtt]\nport = {self.port}\n{backoff}\n'
                '[logs]\nformat = "json"\n',
                "utf-8",
            )
            register = self._directory / "register.toml"
            register.write_text(REGISTER, "utf-8")
            words = ["register", "import", str(register), "--config", str(self._config)]
            run_to_end([sys.executable, "-m", "relay", *words])
            self._store = SqlStore.open(self._database)
            stack.callback(self._store.close)
            stack.callback(self.relay.stop)
            self.relay.start()
            self._leaving = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self.resume()
        self._leaving.close()

    def pause(self) -> None:
        """The relay hears nothing until ``resume``: a machine that hangs."""
        assert self.relay.pid is not None
        os.kill(self.relay.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        if self.relay.pid is not None:
            os.kill(self.relay.pid, signal.SIGCONT)

    def journal(self, *kinds: str) -> list[JournalLine]:
        """The relay's journal, or its lines of these types."""
        return [line for line in self._store.journal() if not kinds or line.type in kinds]

    def open_alarms(self) -> int:
        """How many alarms are open."""
        return len(self._store.alarms())

    def close_alarms(self) -> None:
        """As the office would."""
        for alarm in self._store.alarms():
            words = ["alarms", "close", alarm.id, "--outcome", "cancelled", "--yes", "--wait", "60"]
            run_to_end([sys.executable, "-m", "relay", *words, "--config", str(self._config)])

    def heard(self, device: str, *kinds: str) -> list[Heard]:
        """What the relay has committed of a device, in the order of its own count."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=10.0)) as database:
            rows = database.execute("SELECT id, type, at, body FROM event WHERE device = ?", (device,)).fetchall()
        events = []
        for event_id, kind, at_ms, raw in rows:
            body = json.loads(raw)
            heard = Heard(event_id, kind, body["seq"], from_ms(at_ms), body["clock"], body.get("detail") or {})
            events.append(heard)
        return sorted((one for one in events if not kinds or one.type in kinds), key=lambda one: one.seq)

    def faults(self, device: str) -> list[tuple[str, bool]]:
        """The faults that a device has told: the code, and whether it works again."""
        return [(one.detail["code"], bool(one.detail.get("cleared"))) for one in self.heard(device, "fault")]
