"""A city of real processes: two neighbourhoods, relays that share them, one PostgreSQL, one broker of three servers.

Each relay reaches the database and the broker by a line of its own that can be cut. Leases are shorter than an
operator would set them, so that a test waits seconds: what happens is the same.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import psycopg

from relay.adapters.store import SqlStore
from relay.adapters.store_rows import JournalLine
from tests.postgres import PostgresServer
from tests.system.cluster import NatsCluster
from tests.system.liar import Lies
from tests.system.lines import Line
from tests.system.processes import WITHIN_S, Device, Program, run_to_end, until

BEAT_S, EXPIRE_S, MARGIN_S = 0.5, 4.0, 1.0
FAILOVER_S = 10.0
"""Within this a dead relay's communities are served again (wire contract)."""
FIRST_WAIT_S = 12
"""The first step of an alarm: longer than a failover, so that a deadline lies on the other side of it."""
WEST, EAST = "west", "east"
RELAYS = ("one", "two", "three")
REGISTER = (
    "".join(
        f"""
[[community]]
id = "{community}"
name = "{name}"

[[person]]
id = "{community}-peng"
community = "{community}"
name = "彭小平"
bells = ["bell-{community}"]

[[person]]
id = "{community}-zhang"
community = "{community}"
name = "张建国"
bells = ["bell-{community}-2"]

[[household]]
id = "{community}-liu"
community = "{community}"
label = "柳奶奶"
place = "3栋502"
panels = ["panel-{community}"]
volunteers = ["{community}-peng", "{community}-zhang"]
policies = {{ help = "slow" }}
"""
        for community, name in ((WEST, "西湖山小区"), (EAST, "东湖小区"))
    )
    + f"""
[[policy]]
id = "slow"
arrive_wait_s = 60
steps = [
    {{ call = ["volunteer:1"], wait_s = {FIRST_WAIT_S} }},
    {{ call = ["volunteers"], wait_s = 60 }},
]
"""
)


class Relay(Program):
    """One relay, its lines, and what it says of itself."""

    def __init__(self, name: str, folder: Path, database: PostgresServer, url_of: Callable[[Path], str]) -> None:
        self.short = name
        self.config = folder / f"{name}.toml"
        self._sockets = Path(tempfile.mkdtemp(prefix="line-"))
        self.to_database = Line(self._sockets / ".s.PGSQL.5432", database.folder / f".s.PGSQL.{database.port}")
        self.url = url_of(self._sockets)
        self.to_brokers: list[Line] = []
        super().__init__(f"relay-{name}", [sys.executable, "-m", "relay", "run", "--config", str(self.config)], folder)

    def heard(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log with this event, since its start."""
        return [line for line in self.lines() if line.get("event") == event]

    def close(self) -> None:
        """End it, and its lines."""
        if self.pid is not None:
            self.kill()
        for line in (self.to_database, *self.to_brokers):
            line.close()
        shutil.rmtree(self._sockets, ignore_errors=True)


class City:
    """``with City(folder, server) as city:`` everything runs inside and is at rest."""

    def __init__(self, folder: Path, server: PostgresServer, first_wait_s: int = FIRST_WAIT_S) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._server = server
        self._first_wait_s = first_wait_s
        self.database = server.database(server.template)
        self.cluster = NatsCluster(folder / "cluster")
        self.relays = {name: Relay(name, folder, server, self._url) for name in RELAYS}
        self._sockets = Path(tempfile.mkdtemp(prefix="city-"))
        self.devices = {
            name: self._device(name, community, name.split("-")[0])
            for community in (WEST, EAST)
            for name in (f"panel-{community}", f"bell-{community}", f"bell-{community}-2")
        }
        self.store = SqlStore(server.url(self.database))
        self._leaving = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._leaving.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._leaving.close()

    # --- who is there -----------------------------------------------------------------------------------------------

    def panel(self, community: str) -> Device:
        """The elder's panel there."""
        return self.devices[f"panel-{community}"]

    def bell(self, community: str, number: int = 1) -> Device:
        """The first or second volunteer's bell there."""
        return self.devices[f"bell-{community}" if number == 1 else f"bell-{community}-2"]

    def holder(self, community: str) -> Relay | None:
        """Who holds a community, as the database says."""
        found = self.ask(
            "SELECT m.name FROM lease l JOIN member m ON m.run = l.holder WHERE l.community = %s", community
        )
        return self.relays[found[0][0]] if found else None

    def is_shared(self) -> bool:
        """Whether each community is held, and by a relay of its own."""
        west, east = self.holder(WEST), self.holder(EAST)
        return west is not None and east is not None and west is not east

    def others(self, relay: Relay) -> list[Relay]:
        """The relays that run beside this one."""
        return [one for one in self.relays.values() if one is not relay and one.pid is not None]

    def fences(self) -> dict[str, int]:
        """The fencing numbers now."""
        return dict(self.ask("SELECT community, fence FROM lease"))

    # --- what happened ----------------------------------------------------------------------------------------------

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """What somebody sees in the database who is none of the relays."""
        with self.connect() as connection:
            return connection.execute(question.encode(), values).fetchall()

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of a technician."""
        return self._server.connect(self.database)

    def journal(self) -> list[JournalLine]:
        """All lines of the journal, oldest first."""
        return list(self.store.journal())

    def lines_of(self, *kinds: str, since: int = 0) -> list[JournalLine]:
        """Lines of these types after a place in the journal."""
        return [line for line in self.store.journal(after_seq=since) if line.type in kinds]

    def cut_database(self) -> None:
        """End every session of the relays; the server lives on."""
        self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'relay-%%'")

    def crash_database(self) -> None:
        """The server ends as without power, and is started again."""
        self._close_store()
        self._server.stop("immediate")
        self._server.start()
        self.store = SqlStore.open(self._server.url(self.database))

    def mark(self) -> int:
        """The present end of the journal."""
        return max((line.seq for line in self.journal()), default=0)

    def help_arrives(self, community: str) -> None:
        """Whoever hears the first bell comes, and it is over; then everything rests."""
        self.help_arrives_without_rest(community)
        self.await_rest()

    def help_arrives_without_rest(self, community: str) -> None:
        """The same, with part of the city still down."""
        bell, panel = self.bell(community), self.panel(community)
        bell.press("answer")
        until(lambda: panel.now.stage == "coming", "the panel says coming", WITHIN_S)
        panel.press("ok")
        until(lambda: panel.now.stage == "arrived" and bell.now.light == "mine", "the helper is there")
        bell.press("answer", ms=1_200)
        until(lambda: panel.now.stage == "idle", "the alarm is over")

    def clear(self) -> None:
        """Close what a test that failed has left open, as the office would: the next one is not about it."""
        for alarm in self.store.alarms():
            words = ["alarms", "close", alarm.id, "--outcome", "false_alarm", "--yes"]
            run_to_end([sys.executable, "-m", "relay", *words, "--config", str(self.relays["one"].config)])
        until(lambda: not self.store.alarms(), "no alarm is left from before")

    def not_at_rest(self) -> list[str]:
        """What keeps the city from being as it is when nothing happens."""
        running = [relay for relay in self.relays.values() if relay.pid is not None]
        wrong = [f"{community} has no holder" for community in (WEST, EAST) if self.holder(community) not in running]
        twins = self.store.load().twins
        for name, device in self.devices.items():
            now, light = device.now, "covered" if name.startswith("panel") else "ready"
            told = twins.get(name)
            if (now.light, now.outbox, now.sounding, now.link) != (light, 0, (), True):
                wrong.append(f"{name}: {now}")
            elif told is None or told.rev != now.rev:
                wrong.append(f"{name}: {now}, and the relay's rev is {told and told.rev}")
        return wrong + [f"open: {alarm.id}" for alarm in self.store.alarms()]

    def await_rest(self, within_s: float = 45.0) -> None:
        """Wait until nothing keeps the city from rest."""
        deadline = time.monotonic() + within_s
        while wrong := self.not_at_rest():
            assert time.monotonic() < deadline, f"not at rest: {wrong}\n{self.last_words()}"
            until(lambda: not self.not_at_rest() or time.monotonic() > deadline, "rest", within_s + 5)

    def last_words(self) -> str:
        """The ends of all logs and of the journal, for whoever reads a failure."""
        lines = [f"{line.at:%H:%M:%S.%f} {line.community} {line.type} {line.data}" for line in self.journal()[-30:]]
        programs = [program.last_words(25) for program in (*self.relays.values(), *self.devices.values())]
        return "\n".join([*programs, "--- journal", *lines, str(self.fences())])

    # --- making it --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        leave = self._leaving.callback
        leave(shutil.rmtree, self._sockets, ignore_errors=True)
        leave(self.cluster.stop)
        self.cluster.start()
        for relay in self.relays.values():
            leave(relay.close)
            self._configure(relay)
        for device in self.devices.values():
            leave(device.close)
            device.start()
        register = self._folder / "register.toml"
        register.write_text(REGISTER.replace(f"wait_s = {FIRST_WAIT_S} ", f"wait_s = {self._first_wait_s} "), "utf-8")
        config = str(self.relays["one"].config)
        run_to_end([sys.executable, "-m", "relay", "register", "import", str(register), "--config", config])
        leave(self._close_store)
        for name in ("one", "two"):
            self.relays[name].start()
        self.await_rest(60.0)

    def _close_store(self) -> None:
        self.store.close()

    def _url(self, folder: Path) -> str:
        return f"postgresql://postgres@/{self.database}?host={folder}"

    def _configure(self, relay: Relay) -> None:
        """Each relay begins with another of the three servers."""
        start = list(self.relays.values()).index(relay)
        nodes = self.cluster.nodes[start:] + self.cluster.nodes[:start]
        relay.to_brokers = [Line(("127.0.0.1", 0), ("127.0.0.1", node.port), Lies()) for node in nodes]
        relay.config.write_text(
            f'name = "{relay.short}"\ndatabase = "{relay.url}"\n\n[status]\nport = 0\n\n'
            f"[leases]\nbeat_s = {BEAT_S}\nexpire_s = {EXPIRE_S}\nmargin_s = {MARGIN_S}\n"
            + _mqtt([line.port for line in relay.to_brokers]),
            "utf-8",
        )

    def _device(self, name: str, community: str, role: str) -> Device:
        config = self._folder / f"{name}.toml"
        start = len(name) % 3
        nodes = self.cluster.nodes[start:] + self.cluster.nodes[:start]
        config.write_text(
            f'device = "{name}"\ncommunity = "{community}"\nrole = "{role}"\nstate_dir = "{name}"\n'
            + _mqtt([node.port for node in nodes], "receive_qos = 0\n")
            + '\n[button]\nhold_ms = 1000\n\n[sound]\nplayer = "none"\n',
            "utf-8",
        )
        return Device(name, config, self._sockets / f"{name}.sock")


def _mqtt(ports: list[int], more: str = "") -> str:
    first, *fallback = ports
    # A back-off that does not make tests wait; the first broker is asked again soon.
    text = f"\n[mqtt]\nport = {first}\nbackoff_min_s = 0.1\nbackoff_max_s = 0.5\nreturn_s = 5\n{more}"
    text += "".join(f'\n[[mqtt.fallback]]\nhost = "127.0.0.1"\nport = {port}\n' for port in fallback)
    return text + '\n[logs]\nformat = "json"\n'
