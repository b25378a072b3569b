"""A small town of real processes: broker, relay, one panel, two bells. Each dies by kill -9 and starts again.

What a device shows is read from its control line, what the relay knows from its database, both beside the running
programs.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from relay.adapters.store import SqlStore
from relay.adapters.store_rows import JournalLine
from tests.system.brokers import Broker, make_broker
from tests.system.processes import WITHIN_S, Device, Program, run_to_end, until

COMMUNITY, HOUSEHOLD, PANEL, FIRST, SECOND = "xihushan", "liu", "panel-liu", "bell-first", "bell-second"
OTHER_PANEL, OTHER_BELL = "panel-chen", "bell-wu"
"""Registered with a household of their own, and never running: whoever speaks for them is a stranger to the first."""
RELAY = "relay-town"
STEP_WAIT_S = 3
REGISTER = f"""
[[community]]
id = "{COMMUNITY}"
name = "西湖山小区"

[[person]]
id = "peng"
community = "{COMMUNITY}"
name = "彭小平"
bells = ["{FIRST}"]

[[person]]
id = "zhang"
community = "{COMMUNITY}"
name = "张建国"
bells = ["{SECOND}"]

[[household]]
id = "{HOUSEHOLD}"
community = "{COMMUNITY}"
label = "柳奶奶"
place = "西湖山小区 3栋502"
panels = ["{PANEL}"]
volunteers = ["peng", "zhang"]
policies = {{ help = "quick" }}

[[person]]
id = "wu"
community = "{COMMUNITY}"
name = "吴秀英"
bells = ["{OTHER_BELL}"]

[[household]]
id = "chen"
community = "{COMMUNITY}"
label = "陈爷爷"
place = "西湖山小区 1栋203"
panels = ["{OTHER_PANEL}"]
volunteers = ["wu"]

[[policy]]
id = "quick"
arrive_wait_s = 60
steps = [
    {{ call = ["volunteer:1"], wait_s = {STEP_WAIT_S} }},
    {{ call = ["volunteers"], wait_s = {STEP_WAIT_S} }},
    {{ call = ["everyone"], wait_s = {STEP_WAIT_S} }},
]
"""


class Town:
    """``with Town(directory, "embedded") as town:`` all of it runs inside and is at rest, and is ended outside.

    ``devices_in``: a command that runs the devices' commands, in a world of its own. ``broker``: another than ``kind``.
    ``database``: elsewhere than in the directory. What is between a program and the broker, and around it, may be more
    in another kind of town.
    """

    def __init__(
        self,
        directory: Path,
        kind: str,
        *,
        devices_in: Sequence[str] = (),
        broker: Broker | None = None,
        database: Path | str | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.kind = kind
        self._devices_in = devices_in
        self.broker = broker or make_broker(kind, directory / "broker")
        self.database = database or directory / "relay.sqlite3"
        self.relay_config = directory / "relay.toml"
        self._directory = directory
        self._sockets = Path(tempfile.mkdtemp(prefix="town-"))  # a socket's path has at most 107 bytes
        self.relay = Program("relay", self.relay_command("run"), directory, self.variables_of("relay"))
        self.panel = self._device(PANEL, "panel")
        self.first = self._device(FIRST, "bell")
        self.second = self._device(SECOND, "bell")
        self.devices = (self.panel, self.first, self.second)
        (directory / "register.toml").write_text(REGISTER, "utf-8")
        settings = f'name = "town"\ndatabase = "{self.database}"\n{self._common("relay")}\n\n[status]\nport = 0\n'
        self.relay_config.write_text(settings, "utf-8")
        self._journal: list[JournalLine] = []
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

    def kill(self, name: str) -> None:
        """kill -9 of ``broker``, ``relay``, ``panel``, ``first`` or ``second``."""
        getattr(self, name).kill()

    def restart(self, name: str) -> None:
        """Start it again on what it has on disk; returns at once (the broker: when it speaks)."""
        getattr(self, name).start()

    def journal(self) -> list[JournalLine]:
        """All lines of the relay's journal, oldest first."""
        after = self._journal[-1].seq if self._journal else 0
        self._journal.extend(self.store.journal(after_seq=after))
        return [*self._journal]

    def open_alarms(self) -> int:
        """How many alarms are open."""
        return len(self.store.alarms())

    def lines_of(self, *kinds: str) -> list[JournalLine]:
        """Lines of the journal of these types."""
        return [line for line in self.journal() if line.type in kinds]

    def help_arrives(self, bell: Device) -> None:
        """Whoever hears this bell says coming, comes, and says that it is done; then the town rests."""
        bell.press("answer")
        self.helper_arrives(bell)

    def helper_arrives(self, bell: Device) -> None:
        """The same, once the answer is given."""
        until(lambda: self.panel.now.stage == "coming", "the panel says coming")
        self.panel.press("ok")
        until(lambda: self.panel.now.stage == "arrived" and bell.now.light == "mine", "the helper is there")
        bell.press("answer", ms=1_200)
        self.await_rest()
        assert not self.store.alarms(), "no alarm stays open"

    def not_at_rest(self) -> list[str]:
        """What keeps the town from being as it is when nothing happens: everybody connected, told and silent."""
        if self.relay.logged("link.up") is None:
            return ["the relay is not connected"]
        twins = self.store.load().twins
        wanted = {PANEL: "covered", FIRST: "ready", SECOND: "ready"}
        return [
            f"{device.name}: {device.now}, rev of the relay {twins[device.name].rev if device.name in twins else None}"
            for device in self.devices
            if (device.now.light, device.now.outbox, device.now.sounding, device.now.link)
            != (wanted[device.name], 0, (), True)
            or device.name not in twins
            or device.now.rev != twins[device.name].rev
        ]

    def await_rest(self) -> None:
        """Wait until nothing keeps the town from rest."""
        deadline = time.monotonic() + WITHIN_S
        until(lambda: not (missing := self.not_at_rest()) or self._give_up(deadline, missing), "the town is at rest")

    def relay_command(self, *words: str) -> list[str]:
        """``doorbell-relay words`` of this town."""
        return [sys.executable, "-m", "relay", *words, "--config", str(self.relay_config)]

    def ask_relay(self, *words: str) -> str:
        """The output of ``doorbell-relay words``, which must succeed."""
        return run_to_end(self.relay_command(*words))

    def status_page(self, path: str) -> tuple[int, str]:
        """Code and text of a status page of the relay."""
        listening = self.relay.logged("status.listening")
        assert listening is not None
        connection = HTTPConnection("127.0.0.1", listening["port"], timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def port_for(self, _name: str) -> int:
        """Where a program finds the broker."""
        return self.broker.port

    def variables_of(self, _name: str) -> dict[str, str]:
        """What a program finds in its environment that others do not."""
        return {}

    def config_of(self, name: str) -> Path:
        """The settings file of a device."""
        return self._directory / f"{name}.toml"

    def socket_of(self, name: str) -> Path:
        """The control socket of a device."""
        return self._sockets / f"{name}.sock"

    def last_words(self) -> str:
        """The ends of all logs and of the journal, for whoever reads a failure."""
        journal = [f"{line.at.isoformat(timespec='milliseconds')} {line.type} {line.data}" for line in self.journal()]
        programs = [program.last_words() for program in (self.relay, *self.devices)]
        return "\n".join([*programs, "--- journal", *journal[-25:]])

    def _start(self) -> None:
        self._leaving.callback(shutil.rmtree, self._sockets, ignore_errors=True)
        self._leaving.callback(self.broker.stop)
        self.broker.start()
        for device in self.devices:
            self._leaving.callback(device.close)
            device.start()
        self.ask_relay("register", "import", str(self._directory / "register.toml"))
        self.store = SqlStore.open(self.database)
        self._leaving.callback(self.store.close)
        self._leaving.callback(self.relay.stop)
        self.relay.start()
        self.await_rest()

    def _give_up(self, deadline: float, missing: list[str]) -> bool:
        assert time.monotonic() < deadline, f"not at rest: {missing}\n{self.last_words()}"
        return False

    def _device(self, name: str, role: str) -> Device:
        config = self.config_of(name)
        config.write_text(
            f'device = "{name}"\ncommunity = "{COMMUNITY}"\nrole = "{role}"\nstate_dir = "{name}"\n'
            f'{self._common(name)}\n[button]\nhold_ms = 1000\n\n[sound]\nplayer = "none"\n',
            "utf-8",
        )
        return Device(name, config, self.socket_of(name), inside=self._devices_in, variables=self.variables_of(name))

    def _common(self, name: str) -> str:
        # A back-off that does not make tests wait; the buzzer of the mock pins is the sound.
        backoff = "backoff_min_s = 0.1\nbackoff_max_s = 0.5\n"
        return f'\n[mqtt]\nport = {self.port_for(name)}\n{backoff}\n[logs]\nformat = "json"\n'
