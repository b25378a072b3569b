"""The demo's neighbourhood: a real broker, a real relay, real device daemons on mock pins, and an office that listens.

Everything runs as children of this program on loopback, in a directory of its own, and is gone when it is left.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from doorbell.errors import PeerError, SetupError
from doorbell.link import Delivery, LinkEvent
from doorbell.mqtt import MqttLink
from doorbell.settings import MqttSettings
from doorbell.wire import Channel, Desired, Topics, decode
from relay.register_file import write_register
from relay.settings import load_relay_settings
from relay.texts import Language, Text
from sim.broker import HOST, EmbeddedBroker
from sim.demo_cast import BELLS, COMMUNITY, DEVICES, PANELS, demo_policy, demo_register, name_of
from sim.demo_child import Child, run_once
from sim.demo_journal import JournalFollower
from sim.demo_office import Office
from sim.demo_pins import PinsLine
from sim.demo_plot import Gesture
from sim.demo_sightings import Chronicle, DesiredView, JournalLine, Remark, read_export
from sim.demo_signs import not_at_rest

START_S = 60.0
"""Six Python programs start at once: 3 s on a laptop, a minute on the smallest machine that is worth waiting for."""
COMMAND_S = 60.0
_DATABASE = "relay.db"
REPORT_INTERVAL_S = 10
"""Heartbeats of the demo's devices: a bell whose process hangs is held silent after 25 s."""


class DemoError(SetupError):
    """The neighbourhood does not come up; the message has the last lines of whoever failed, and what to do."""


class Neighbourhood:
    """``with Neighbourhood(...) as home:`` everything is up inside, and stopped and waited for outside.

    ``scratch``: an existing directory for databases, logs and settings. ``run``: one for sockets, whose paths must be
    short (107 bytes). ``tell``: hears what is being started. Use it from the main thread: children die with it.
    """

    def __init__(
        self,
        scratch: Path,
        run: Path,
        *,
        speed: float,
        language: Language,
        port: int,
        sound: bool,
        tell: Callable[[Text], None],
    ) -> None:
        self.chronicle = Chronicle()
        self.policy = demo_policy(speed)
        self.relay_wanted = True
        """False while the relay is meant to be down: then its absence is no trouble."""
        self._scratch = scratch
        self._language = language
        self._sound = sound
        self._tell = tell
        self._broker = EmbeddedBroker(scratch / "broker", port)
        self._office = Office(self.chronicle.add)
        self._relay_config = scratch / "relay.toml"
        self._relay = Child("relay", ["relay", "run", "--config", str(self._relay_config)], scratch / "relay.log")
        self._lines = {device: PinsLine(device, run / f"{device}.sock", self.chronicle.add) for device in DEVICES}
        self._children = {
            device: Child(
                device,
                [*f"device run --pins mock --config {device}.toml --control".split(), str(self._lines[device].path)],
                scratch / f"{device}.log",
            )
            for device in DEVICES
        }
        self._observer: MqttLink | None = None
        self._leaving = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._leaving.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.close()

    # -----------------------------------------------------------------------------------------------------------------
    # What the story and the screen ask

    def gesture(self, gesture: Gesture) -> None:
        """Put a finger on a button; returns when it is off again. Raises ``OSError`` if the device does not answer."""
        line = self._lines[gesture.device]
        if gesture.hold:
            line.hold(gesture.button)
        else:
            line.press(gesture.button)

    def trouble(self) -> str | None:
        """What has ended that should run, with its last lines."""
        wanted = [*self._children.values(), *([self._relay] if self.relay_wanted else [])]
        ended = [child.last_words() for child in wanted if child.ended() is not None]
        if self._broker.pid is None:
            ended.append(f"broker: {self._broker.last_words()}")
        return "\n".join(ended) or None

    def journal(self) -> Sequence[JournalLine]:
        """The relay's journal as ``doorbell-relay journal`` exports it. Raises ``DemoError`` if it cannot."""
        return read_export(self._command("relay journal", ["journal", "--format", "jsonl"]))

    def monotonic(self) -> float:
        """The clock of the chronicle, in seconds."""
        return time.monotonic()

    def watch_lamps(self) -> None:
        """See the lamps blink, not only what they mean: for a screen."""
        for line in self._lines.values():
            line.watch_lamp()

    @property
    def relay_up(self) -> bool:
        """Whether the relay's process runs."""
        return self._relay.pid is not None

    def kill_relay(self) -> None:
        """kill -9; it stays down until ``start_relay``."""
        self.relay_wanted = False
        self._relay.kill()

    def stop_relay(self) -> None:
        """SIGTERM; it stays down until ``start_relay``."""
        self.relay_wanted = False
        self._relay.stop()

    def start_relay(self) -> None:
        """Start the relay (again) on what it has in its database."""
        self._relay.start()
        self.relay_wanted = True

    # -----------------------------------------------------------------------------------------------------------------
    # Start, in the order in which it is told; the stack stops it in reverse

    def _start(self) -> None:
        self._tell(Text("消息服务器（NATS，MQTT）", "the broker (NATS, speaking MQTT)"))
        self._broker.start()
        self._leaving.callback(self._broker.stop)
        self._tell(Text(f"社区办公室的网络地址 {self._office.url}", f"the office's web address {self._office.url}"))
        self._leaving.callback(self._office.stop)
        self._office.start()
        self._write_settings()
        self._leaving.callback(self._stop_children)
        for device, child in self._children.items():
            child.start()
            who = [name_of(device, language) for language in Language]
            kind = ("面板", "panel") if device in PANELS else ("门铃", "bell")
            self._tell(
                Text(f"{who[0]}的{kind[0]} {device}（{child.pid}）", f"{who[1]}'s {kind[1]} {device} ({child.pid})")
            )
        self._tell(Text("登记表导入中继的数据库（SQLite）", "the register goes into the relay's database (SQLite)"))
        self._command("relay register import", ["register", "import", str(self._scratch / "register.toml")])
        self._relay.start()
        self._tell(Text(f"中继 relay（{self._relay.pid}）", f"the relay ({self._relay.pid})"))
        key_file = load_relay_settings(self._relay_config, os.environ).privacy.key_file
        journal = JournalFollower(self._scratch / _DATABASE, key_file, self.chronicle.add)
        self._leaving.callback(journal.stop)
        journal.start()
        self._observe()
        for line in self._lines.values():
            self._leaving.callback(line.stop)
            line.start()
        self._await_everybody()

    def _await_everybody(self) -> None:
        least = len(DEVICES) + 1

        def all_up() -> bool | None:
            nonlocal least
            missing = len(not_at_rest(self.chronicle.devices().values()))
            if missing < least:
                least = missing
                up = f"{len(DEVICES) - missing}/{len(DEVICES)}"
                self._tell(Text(f"等待设备上线：{up}", f"waiting for the devices: {up}"))
            return True if not missing else None

        up = self.chronicle.wait_for(all_up, START_S, lambda: self.trouble() is not None)
        if (trouble := self.trouble()) is not None:
            raise DemoError(trouble)
        if up is None:
            missing = "; ".join(not_at_rest(self.chronicle.devices().values()))
            raise DemoError(f"not up within {START_S:.0f} s: {missing}\n{self._relay.last_words()}")

    def _observe(self) -> None:
        """Read along what the relay wants the panels to show: a panel says the helper's name aloud, not on a line."""
        topics = Topics()
        wanted = {topics.of(COMMUNITY, panel, Channel.DESIRED): panel for panel in PANELS}

        def note(event: LinkEvent) -> None:
            if not isinstance(event, Delivery) or event.topic not in wanted:
                return
            try:
                desired = decode(Desired, event.payload)
            except PeerError:
                return  # the panel itself counts and tells what it cannot read
            alarm = desired.panel.alarm if desired.panel is not None else None
            self.chronicle.add(DesiredView(wanted[event.topic], desired.rev, alarm.who if alarm is not None else None))

        link = MqttLink(
            MqttSettings(host=HOST, port=self._broker.port),
            client_id="demo-observer",
            subscriptions=[(topic, 0) for topic in wanted],
            sink=note,
            clean_session=True,
            presence_topic=None,
        )
        self._leaving.callback(link.stop)
        link.start()

    def _write_settings(self) -> None:
        with (self._scratch / "register.toml").open("w", encoding="utf-8") as file:
            write_register(demo_register(self.policy, self._language, self._office.url), file)
        mqtt = f'\n[mqtt]\nhost = "{HOST}"\nport = {self._broker.port}\n\n[logs]\nformat = "json"\n'
        language = f'language = "{self._language.value}"\n'
        self._relay_config.write_text(f'name = "demo"\ndatabase = "{_DATABASE}"\n{language}{mqtt}', encoding="utf-8")
        for device in DEVICES:
            role = "bell" if device in BELLS else "panel"
            sound = "" if self._sound else '\n[sound]\nplayer = "none"\n'
            (self._scratch / f"{device}.toml").write_text(
                f'device = "{device}"\ncommunity = "{COMMUNITY}"\nrole = "{role}"\nstate_dir = "{device}"\n'
                f"report_interval_s = {REPORT_INTERVAL_S}\n{mqtt}{sound}",
                encoding="utf-8",
            )

    def _command(self, name: str, arguments: Sequence[str]) -> str:
        command = ["relay", *arguments, "--config", str(self._relay_config)]
        code, output, errors = run_once(name, command, self._scratch, COMMAND_S)
        if code != 0:
            raise DemoError(f"{name} ended with {code}:\n{errors.strip() or output.strip()}")
        return output

    def _stop_children(self) -> None:
        children = [*self._children.values(), self._relay]
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()

    def remark(self, zh: str, en: str) -> None:
        """Put something of the demo's own into the chronicle."""
        self.chronicle.add(Remark(Text(zh, en)))
