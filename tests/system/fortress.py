"""A broker with the configuration that ``doorbell-relay broker config`` writes, and people who are let in.

Two communities with an authority; a relay and three devices that are connected, and see everything that reaches them.
"""

from __future__ import annotations

import resource
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from doorbell.link import Delivery, LinkUp
from doorbell.settings import MqttSettings, TlsSettings
from doorbell.wire import Channel, Topics
from relay.adapters.authority import Authority, create_authority
from relay.commands.program import main
from relay.issued import Purpose
from sim.broker import free_port
from tests.relay.identities import PASSPHRASE
from tests.system.brokers import MosquittoProcess, NatsProcess
from tests.system.intruder import HOST, Intruder, Papers
from tests.system.link_probe import LinkProbe

TOPICS = Topics()
HERE, THERE = "xihushan", "donghu"
RELAY = "relay-main"
BELL, PANEL, FOREIGN = "bell-peng", "button-liu", "bell-he"
"""Who must not be disturbed: two of one community, one of another."""
BAD = "bell-wu"
"""A device with an identity of its own that does what it must not."""
LONG_AGO = timedelta(days=390)
REGISTER = f"""
[[community]]
id = "{HERE}"
name = "西湖山小区"
[[community]]
id = "{THERE}"
name = "东湖小区"
[[person]]
id = "peng"
community = "{HERE}"
name = "彭小平"
bells = ["{BELL}", "bell-gone", "bell-late", "bell-old"]
[[person]]
id = "wu"
community = "{HERE}"
name = "吴秀英"
bells = ["{BAD}"]
[[household]]
id = "liu"
community = "{HERE}"
label = "柳奶奶"
panels = ["{PANEL}"]
volunteers = ["peng"]
[[person]]
id = "he"
community = "{THERE}"
name = "何平"
bells = ["{FOREIGN}", "bell-ended", "bell-early"]
"""


class Fortress:
    """``with Fortress(folder, "mosquitto") as fortress:`` all of it runs inside."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self.port = free_port()
        self.config = folder / "relay.toml"
        self.place = folder / "broker"
        self._leaving = ExitStack()
        self.count = 0

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._start()
            self._let_in()
        except BaseException:
            self._leaving.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._leaving.close()

    def run(self, *words: str) -> None:
        """``doorbell-relay words``, which must succeed."""
        assert main([*words, "--config", str(self.config)]) == 0, words

    def issue(self, what: str, name: str, *words: str, to: str | None = None) -> Papers:
        """An identity from the authority."""
        folder = self.folder / (to or name)
        self.run("authority", "issue", what, name, "--to", str(folder), *words)
        return Papers.of(folder)

    def issue_at(self, name: str, now: datetime) -> Papers:
        """The identity of a device, made at another time."""
        made = Authority(self.folder / "authority", now=lambda: now).issue(Purpose.DEVICE, name)
        folder = self.folder / name
        folder.mkdir()
        for file, content in made.files().items():
            (folder / file).write_bytes(content)
        return Papers.of(folder)

    def papers(self, name: str) -> Papers:
        """What was issued under this name (or written to this folder)."""
        return Papers.of(self.folder / name)

    def settings_of(self, name: str) -> MqttSettings:
        """How somebody who is let in reaches the broker."""
        papers = self.papers(name)
        return MqttSettings(
            port=self.port,
            backoff_min_s=0.02,
            backoff_max_s=0.05,
            tls=TlsSettings(ca=papers.ca, certificate=papers.certificate, key=papers.key),
        )

    def intruder(self, name: str | None = BAD) -> Intruder:
        """A new connection with these papers, or with none."""
        papers = self.papers(name) if name is not None else Papers(self.folder / BAD / "ca.pem")
        return Intruder(self.port, papers.context())

    def undisturbed(self) -> None:
        """Everybody who is let in is connected, hears what is for them, and has heard nothing else."""
        self.count += 1
        said, told = f"event {self.count}".encode(), f"desired {self.count}".encode()
        assert self.bell.link.publish(TOPICS.of(HERE, BELL, Channel.EVENT), said)
        heard = self.relay.expect_next(Delivery)
        assert (heard.topic, heard.payload) == (TOPICS.of(HERE, BELL, Channel.EVENT), said)
        self.relay.link.ack(heard)
        assert self.relay.link.publish(TOPICS.of(HERE, BELL, Channel.DESIRED), told, retain=True)
        heard = self.bell.expect_next(Delivery)
        assert (heard.topic, heard.payload) == (TOPICS.of(HERE, BELL, Channel.DESIRED), told)
        self.bell.link.ack(heard)
        for quiet in (self.relay, self.bell, self.panel, self.foreign):
            assert quiet.events.empty(), quiet.events.get()

    def reload(self) -> None:
        """What a person does after a change."""
        self.run("broker", "config")
        self.run("broker", "reload")

    # -----------------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        # Twice as many as anybody may open here, for both ends of each connection.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self._settings(), "utf-8")
        register = self.folder / "register.toml"
        register.write_text(REGISTER, "utf-8")
        self.run("register", "import", str(register))
        began = datetime.now(UTC) - LONG_AGO
        create_authority(self.folder / "authority", "西湖山社区", PASSPHRASE, now=lambda: began)
        self.issue_at("bell-ended", began)
        self.issue_at("bell-early", datetime.now(UTC) + timedelta(days=60))
        self.issue("broker", "first", "--host", HOST, to="broker")
        self.issue("relay", "main", to=RELAY)
        self.issue("relay", "second", to="relay-second")
        for name in (BELL, PANEL, FOREIGN, BAD, "bell-gone", "bell-late", "bell-old", "bell-unknown"):
            self.issue("device", name)
        self.issue("device", "bell-old", "--replace", "broken", to="bell-new")
        self.run("broker", "config")

    def _settings(self) -> str:
        return f"""
name = "main"
database = "relay.sqlite3"
[mqtt]
host = "{HOST}"
port = {self.port}
[mqtt.tls]
ca = "{RELAY}/ca.pem"
certificate = "{RELAY}/certificate.pem"
key = "{RELAY}/key.pem"
[broker]
for = "{self.kind}"
directory = "broker"
listen = "{HOST}"
port = {self.port}
data = "data"
user = "root"
log = "file {self.folder}/broker.log"
pid_file = "broker.pid"
"""

    def _start(self) -> None:
        (self.folder / "data").mkdir()
        log = self.folder / "broker.log"
        self.broker: MosquittoProcess | NatsProcess
        if self.kind == "mosquitto":
            main_file = self.folder / "mosquitto.conf"
            main_file.write_text(f"include_dir {self.place}\n", "utf-8")
            self.broker = MosquittoProcess(main_file, self.port, log, tls=True)
        else:
            self.broker = NatsProcess(self.place / "love-doorbell.conf", self.port, log)
        self._leaving.callback(self.broker.stop)
        self.broker.start()
        (self.folder / "broker.pid").write_text(str(self.broker.pid), "ascii")

    def _let_in(self) -> None:
        channels = (Channel.EVENT, Channel.REPORTED, Channel.ONLINE)
        everything = [(TOPICS.all_of("+", channel), 1) for channel in channels]
        self.relay = self._probe(RELAY, everything, clean_session=False)
        self.bell, self.panel, self.foreign = (
            self._probe(name, [(TOPICS.of(where, name, Channel.DESIRED), 1), (TOPICS.peers_of(where, name), 1)])
            for name, where in ((BELL, HERE), (PANEL, HERE), (FOREIGN, THERE))
        )

    def _probe(self, name: str, subscriptions: list[tuple[str, int]], *, clean_session: bool = True) -> LinkProbe:
        probe = LinkProbe(self.settings_of(name), name, subscriptions, clean_session=clean_session)
        self._leaving.callback(probe.link.stop, 2.0)
        probe.expect(LinkUp)
        return probe
