"""A relay among doubles: a store, link, notifier and clock that write what is asked of them into one trace.

The household is that of product.md: old Liu's, with Peng and Wang next door, a doctor in the medical group, whose chat
is told by a hook, and an office with a bell and a board.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from doorbell.link import Delivery, LinkUp
from doorbell.wire import AlarmKind, Desired, Topics, decode
from relay.auditor import Auditor
from relay.core.policy import OnMistake, Policy, Step, parse_target
from relay.core.register import Community, Device, DeviceRole, Group, Hook, Household, Person, Register
from relay.ports import Batch, Forgotten, NoticeDelivered, NoticeRow
from relay.runtime import RelayInput, RelayRuntime
from relay.turn import Turn
from sim.stores import MemoryStore

T0 = datetime(2026, 11, 23, 6, 43, tzinfo=UTC)
C = "xihu"
PANEL, PENG, WANG, DOCTOR, OFFICE = "button-liu", "bell-peng", "bell-wang", "bell-doctor", "bell-office"
BELLS = (PENG, WANG, DOCTOR, OFFICE)
CHAT, BOARD = "chat", "board"


def uid(number: int) -> str:
    """The id of event or alarm ``number``."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def steps(*steps_: tuple[str, int]) -> tuple[Step, ...]:
    """Steps from ``("volunteer:1 office", 45)``."""
    return tuple(Step(tuple(parse_target(t) for t in targets.split()), wait_s) for targets, wait_s in steps_)


HELP_STEPS = steps(("volunteer:1", 45), ("volunteers", 45), ("group:medical office", 120), ("everyone", 120))


def neighbourhood(
    *, on_mistake: OnMistake = OnMistake.CLOSE, help_steps: tuple[Step, ...] = HELP_STEPS, without: Sequence[str] = ()
) -> Register:
    """The register of the tests; devices ``without`` are left out of it."""
    devices = [
        Device(PANEL, C, DeviceRole.PANEL, household="liu"),
        Device("button-chen", C, DeviceRole.PANEL, household="chen"),
        Device(PENG, C, DeviceRole.BELL, person="peng"),
        Device(WANG, C, DeviceRole.BELL, person="wang"),
        Device(DOCTOR, C, DeviceRole.BELL, person="doctor"),
        Device(OFFICE, C, DeviceRole.BELL, person="zhou"),
        Device("bell-far", "far", DeviceRole.BELL, person="stranger"),
    ]
    return Register(
        communities={C: Community(C, "西湖社区"), "far": Community("far", "Far away", "en")},
        households={
            "liu": Household(
                "liu", C, "柳奶奶", "西湖山小区 3栋502", ("peng", "wang"), ((AlarmKind.HELP, "liu-help"),)
            ),
            "chen": Household("chen", C, "陈爷爷"),
        },
        people={
            "peng": Person("peng", C, "彭小平"),
            "wang": Person("wang", C, "王芳"),
            "doctor": Person("doctor", C, "李医生"),
            "zhou": Person("zhou", C, "周主任"),
            "stranger": Person("stranger", "far", "Stranger"),
        },
        devices={device.id: device for device in devices if device.id not in without},
        groups={
            "clinic": Group("clinic", C, "medical", "社区医院", ("doctor",), (CHAT,)),
            "office": Group("office", C, "office", "社区办公室", ("zhou",), (BOARD,)),
        },
        hooks={
            CHAT: Hook(CHAT, C, "http://127.0.0.1:1/chat"),
            BOARD: Hook(BOARD, C, "http://127.0.0.1:1/board"),
        },
        policies={"liu-help": Policy("liu-help", help_steps, on_mistake=on_mistake)},
    )


# ---------------------------------------------------------------------------------------------------------------------
# Doubles

Trace = list[tuple[str, Any]]


@dataclass
class FakeClock:
    """Moves when it is told to. ``step`` moves the wall alone, as NTP or a person does."""

    wall: datetime = T0
    mono_ms: int = 1_000_000
    boot: str = "boot-1"

    def now(self) -> datetime:
        """The wall clock."""
        return self.wall

    def monotonic_ms(self) -> int:
        """The machine's own clock."""
        return self.mono_ms

    def boot_id(self) -> str:
        """The boot."""
        return self.boot

    def advance(self, ms: int) -> None:
        """Time passes."""
        self.mono_ms += ms
        self.wall += timedelta(milliseconds=ms)

    def step(self, ms: int) -> None:
        """Somebody sets the wall clock."""
        self.wall += timedelta(milliseconds=ms)


@dataclass
class FakeLink:
    """Remembers what was published and acknowledged; ``up`` False refuses to publish."""

    trace: Trace
    up: bool = True
    retained: dict[str, bytes] = field(default_factory=dict)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """To the broker, if there is one."""
        assert (qos, retain) == (1, True), "the contract: desired states are retained, with QoS 1"
        if self.up:
            self.trace.append(("publish", topic.split("/")[3]))
            self.retained[topic] = payload
        return self.up

    def ack(self, delivery: Delivery) -> None:
        """To the broker."""
        self.trace.append(("ack", delivery.mid))


class TracingStore(MemoryStore):
    """The memory store, whose commits stand in the trace."""

    def __init__(self, trace: Trace, register: Register) -> None:
        super().__init__(register)
        self.trace = trace

    def commit(self, batch: Batch) -> None:
        """Commit, and say so."""
        super().commit(batch)
        self.trace.append(("commit", None))


@dataclass
class FakeNotifier:
    """Takes every notice; the test hands the outcomes in."""

    trace: Trace
    sent: list[NoticeRow] = field(default_factory=list)

    def send(self, notice: NoticeRow, hook: Hook) -> None:
        """One attempt."""
        assert notice.hook == hook.id
        self.trace.append(("tell", hook.id))
        self.sent.append(notice)


@dataclass
class FakeEvidence:
    """A database as the auditor sees it: these open alarms have no deadline that will come."""

    rows: list[Forgotten] = field(default_factory=list)

    def forgotten(self, before: datetime, limit: int) -> list[Forgotten]:
        """Whatever the test has put there."""
        return self.rows[:limit]


def content_auditor(monotonic: Callable[[], float] = time.monotonic) -> Auditor:
    """An auditor that has just looked and found nothing."""
    auditor = Auditor(FakeEvidence(), lambda _: None, now=lambda: T0, monotonic=monotonic)
    auditor.look()
    return auditor


# ---------------------------------------------------------------------------------------------------------------------
# The relay among them


class House:
    """A relay, its doubles, and short words for what devices say to it."""

    def __init__(self, register: Register | None = None, *, bells: Sequence[str] = BELLS, settled: bool = True) -> None:
        self.trace: Trace = []
        self.clock = FakeClock()
        self.store = TracingStore(self.trace, register if register is not None else neighbourhood())
        self.topics = Topics()
        self.mids = 0
        self.retained: dict[str, bytes] = {}
        self.boot()
        if settled:
            self.hear(LinkUp(1))
            self.hear(*(self.report(device) for device in (PANEL, *bells)))
            self.advance(3_000)
            self.trace.clear()

    def boot(self) -> None:
        """A new process on the same disk; the broker keeps what is retained."""
        self.link = FakeLink(self.trace, retained=self.retained)
        self.notifier = FakeNotifier(self.trace)
        self.relay = RelayRuntime(
            self.store,
            self.link,
            self.notifier,
            self.clock,
            self.topics,
            stopwatch=lambda: self.clock.mono_ms / 1000,
        )
        self.relay.start()

    # What happens

    def hear(self, *inputs: RelayInput) -> Turn:
        """One turn with these inputs."""
        turn = self.relay.decide(inputs)
        return self.relay.perform(turn)

    def advance(self, ms: int) -> None:
        """Let time pass as the real loop does: a turn at every moment that the relay asked for."""
        end = self.clock.mono_ms + ms
        for _ in range(100_000):
            wake = self.relay.next_wake_ms()
            if wake > end:
                break
            self.clock.advance(max(wake - self.clock.mono_ms, 0))
            self.hear()
        else:
            raise AssertionError("the relay never sleeps")
        self.clock.advance(end - self.clock.mono_ms)

    def delivery(
        self, topic: str, payload: bytes | dict[str, Any] | str, *, retained: bool = False, device: str = ""
    ) -> Delivery:
        """A message from the broker; ``topic`` is the channel when ``device`` is given."""
        self.mids += 1
        body = payload if isinstance(payload, bytes) else payload.encode() if isinstance(payload, str) else b""
        if isinstance(payload, dict):
            body = json.dumps(payload, ensure_ascii=False).encode()
        full = f"doorbell/v1/{C}/{device}/{topic}" if device else topic
        return Delivery(full, body, 1, self.mids, 1, retained)

    def event(
        self, device: str, type_: str, number: int, *, alarm: int | None = None, age_ms: int = 0, **more: Any
    ) -> Delivery:
        """An event of a device, made ``age_ms`` ago."""
        at = self.clock.wall - timedelta(milliseconds=age_ms)
        body = {
            "id": uid(number),
            "type": type_,
            "at": at.isoformat(timespec="milliseconds"),
            "age_ms": age_ms,
            "clock": "synced",
            "alarm": None if alarm is None else uid(alarm),
            **more,
        }
        return self.delivery("event", body, device=device)

    def report(
        self, device: str, *ringing: int, rev: int | None = None, retained: bool = False, **more: Any
    ) -> Delivery:
        """A device's report: of the newest revision unless ``rev`` is given."""
        body = {
            "rev": self.rev(device) if rev is None else rev,
            "ringing": [uid(n) for n in ringing],
            "firmware": "test",
            "clock": "synced",
            "next_in_s": 86_400,
            **more,
        }
        return self.delivery("reported", body, device=device, retained=retained)

    def online(self, device: str, word: str = "online", *, retained: bool = False) -> Delivery:
        """A device's birth or will."""
        return self.delivery("online", word, device=device, retained=retained)

    def press(self, number: int = 1, *, device: str = PANEL, **more: Any) -> Turn:
        """The help button goes down."""
        return self.hear(self.event(device, "help", number, **more))

    # What is seen

    def rev(self, device: str) -> int:
        """The revision that the relay has committed for a device."""
        row = self.store.twins.get(device)
        return row.rev if row is not None else 0

    def shown(self, device: str) -> Desired:
        """What the broker keeps as the device's desired state."""
        return decode(Desired, self.link.retained[f"doorbell/v1/{C}/{device}/desired"])

    def panel(self, device: str = PANEL) -> tuple[str, str | None] | None:
        """Stage and name on the elder's panel."""
        panel = self.shown(device).panel
        assert panel is not None
        return None if panel.alarm is None else (panel.alarm.stage.value, panel.alarm.who)

    def rings(self, bell: str) -> list[tuple[str, str]]:
        """Alarm and stage of every ring of a bell."""
        if f"doorbell/v1/{C}/{bell}/desired" not in self.link.retained:
            return []
        return [(ring.alarm, ring.stage.value) for ring in self.shown(bell).rings]

    def journal(self, alarm: int | None = 1) -> list[str]:
        """The words of the journal, of one alarm or of everything."""
        lines = self.store.journal()
        return [line.type for line in lines if alarm is None or line.alarm == uid(alarm)]

    def outcome(self, number: int = -1, *, ok: bool = False, retryable: bool = True) -> NoticeDelivered:
        """How the telling of the notice sent as ``number`` went."""
        return NoticeDelivered(self.notifier.sent[number].id, ok, retryable, "" if ok else "refused")
