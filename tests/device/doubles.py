"""A device on virtual time: hand-written doubles of every port, and a ``Bench`` that turns as the loop does."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from device.core.effects import OutboxRow, Play
from device.core.machine import DeviceLimits
from device.core.role import ButtonName, ChimeStarted, ChimeStopped, Role
from device.core.signals import Call, Light, Tone, Words
from device.ports import IdentityPapers, PinEdge, Ports, RuntimeInput, StoredOutbox, StoreError
from device.runtime import DeviceRuntime, RuntimeSettings
from doorbell.link import Delivery, LinkDown, LinkUp
from doorbell.wire import Channel, Desired, Event, Health, Reported, decode, encode

START = datetime(2026, 11, 23, 6, 43, tzinfo=UTC)
ALARM = "01938f3c-0000-4000-8000-000000000001"
OTHER = "01938f3c-0000-4000-8000-000000000002"


class VirtualClock:
    """Monotonic and wall time that move only when told."""

    def __init__(self, *, now_ms: int = 100_000, boot: str = "boot-1", synced: bool = True) -> None:
        self.now_ms = now_ms
        self.wall_now = START
        self.is_synced = synced
        self.boot = boot

    def advance(self, ms: int) -> None:
        self.now_ms += ms
        self.wall_now += timedelta(milliseconds=ms)

    def monotonic_ms(self) -> int:
        return self.now_ms

    def wall(self) -> datetime:
        return self.wall_now

    def synced(self) -> bool:
        return self.is_synced

    def boot_id(self) -> str:
        return self.boot


@dataclass(frozen=True)
class Published:
    """What went out, when, in the order of everything that a ``Bench`` notes."""

    topic: str
    payload: bytes
    retain: bool


class MemoryStore:
    """An outbox store in memory that survives its device, and can be told to fail. Passes the store's contract."""

    def __init__(self, trail: list[Any] | None = None) -> None:
        self.rows: dict[str, OutboxRow] = {}
        self.next_seq = 0
        self.failing = False
        self.commits = 0
        self.trouble: str | None = None
        self._trail = trail if trail is not None else []

    def load(self) -> StoredOutbox:
        if self.failing:
            raise StoreError("the disk is full")
        return StoredOutbox(tuple(sorted(self.rows.values(), key=lambda r: r.seq)), self.next_seq, self.trouble)

    def commit(self, keep: Sequence[OutboxRow], forget: Sequence[str]) -> None:
        if self.failing:
            raise StoreError("the disk is full")
        self.commits += 1
        for row in keep:
            self.rows.setdefault(row.id, row)
            self.next_seq = max(self.next_seq, row.seq + 1)
        for one in forget:
            self.rows.pop(one, None)
        self._trail.append(("commit", tuple(row.id for row in keep), tuple(forget)))

    def reserve(self, seq: int) -> None:
        if self.failing:
            raise StoreError("the disk is full")
        self.next_seq = max(self.next_seq, seq)

    def close(self) -> None:
        """There is nothing to let go of."""


class FakeLink:
    """Notes what is published; refuses while down."""

    def __init__(self, trail: list[Any]) -> None:
        self.up = False
        self.acked: list[Delivery] = []
        self._trail = trail

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        if self.up:
            self._trail.append(Published(topic, payload, retain))
        return self.up

    def ack(self, delivery: Delivery) -> None:
        self.acked.append(delivery)
        self._trail.append(("ack", delivery.mid))


class FakePins:
    """Levels that a test sets, and the light last shown."""

    def __init__(self, buttons: Sequence[ButtonName], trail: list[Any]) -> None:
        self.levels: dict[ButtonName, bool | None] = dict.fromkeys(buttons, False)
        self.light: Light | None = None
        self._trail = trail

    def level(self, button: ButtonName) -> bool | None:
        return self.levels[button]

    def fitted(self) -> Sequence[ButtonName]:
        return tuple(self.levels)

    def show(self, light: Light) -> None:
        self.light = light
        self._trail.append(light)


class FakeSound:
    """A speaker that starts at once and tells so, unless it is ``broken``."""

    def __init__(self, trail: list[Any]) -> None:
        self.sounding: tuple[str, ...] = ()
        self.percent: int | None = None
        self.language: str | None = None
        self.calls: tuple[Call, ...] = ()
        self.spoken: list[Words] = []
        self.broken = False
        self.told: list[RuntimeInput] = []
        self._trail = trail

    def play(self, notice: Play) -> None:
        self._trail.append(notice.tone)
        if notice.words is not None:
            self.spoken.append(notice.words)

    def chime(self, calls: Sequence[Call]) -> None:
        self.calls = tuple(calls)
        wanted = () if self.broken else tuple(call.alarm for call in calls)
        self.told += [ChimeStopped(one) for one in self.sounding if one not in wanted]
        self.told += [ChimeStarted(one) for one in wanted if one not in self.sounding]
        self.sounding = wanted

    def tune(self, percent: int | None, language: str | None) -> None:
        self.percent, self.language = percent, language


class FakeHealth:
    """What a test says; well until then."""

    def __init__(self) -> None:
        self.now = Health(cpu_c=40.0)
        self.reads = 0

    def read(self) -> Health:
        self.reads += 1
        return self.now


@dataclass
class Bench:
    """One device with its doubles. ``trail`` is everything it did, in order."""

    role: Role = Role.PANEL
    clock: VirtualClock = field(default_factory=VirtualClock)
    trail: list[Any] = field(default_factory=list)
    store: MemoryStore = field(init=False)
    limits: DeviceLimits = field(default_factory=DeviceLimits)
    buttons: tuple[ButtonName, ...] | None = None
    down_at_start: tuple[ButtonName, ...] = ()
    identity: IdentityPapers | None = None

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.trail)
        self.health = FakeHealth()
        self.generation = 0
        self.rev = 0
        self.boot()

    def boot(self) -> None:
        """Start the process anew: same disk, same clock."""
        buttons = (
            self.buttons
            or {
                Role.PANEL: (ButtonName.HELP, ButtonName.OK),
                Role.BELL: (ButtonName.ANSWER, ButtonName.DECLINE),
            }[self.role]
        )
        self.link = FakeLink(self.trail)
        self.pins = FakePins(buttons, self.trail)
        self.sound = FakeSound(self.trail)
        self.pins.levels.update(dict.fromkeys(self.down_at_start, True))
        settings = RuntimeSettings(
            device="dev-1", community="west-lake", role=self.role, firmware="1.0.0", limits=self.limits
        )
        self.runtime = DeviceRuntime(
            settings,
            Ports(
                clock=self.clock,
                link=self.link,
                store=self.store,
                pins=self.pins,
                sound=self.sound,
                health=self.health,
                chance=random.Random(7),
                identity=self.identity,
            ),
        )
        self.turn()
        self.advance(50)

    def reboot(self, *, boot: str = "boot-2", synced: bool = True) -> None:
        """A power cut: monotonic time begins anew."""
        self.clock.boot, self.clock.now_ms, self.clock.is_synced = boot, 9_000, synced
        self.boot()

    # --- time -------------------------------------------------------------------------------------------------------

    def turn(self, *inputs: RuntimeInput) -> None:
        self.runtime.turn(inputs)
        while self.sound.told:
            told, self.sound.told = self.sound.told, []
            self.runtime.turn(told)

    def advance(self, ms: int) -> None:
        """Let time pass, with a turn at every deadline, as the loop would."""
        end, last, turns = self.clock.now_ms + ms, -1, 0
        while (at := self.runtime.next_deadline()) is not None and at <= end:
            self.clock.advance(max(0, at - self.clock.now_ms))
            self.turn()
            turns = turns + 1 if at == last else 0
            assert turns < 20, "the loop would turn without end"
            last = at
        self.clock.advance(end - self.clock.now_ms)

    # --- hands ------------------------------------------------------------------------------------------------------

    def down(self, button: ButtonName) -> None:
        self.pins.levels[button] = True
        self.turn(PinEdge(button, True, self.clock.now_ms))

    def up(self, button: ButtonName) -> None:
        self.pins.levels[button] = False
        self.turn(PinEdge(button, False, self.clock.now_ms))

    def press(self, button: ButtonName, ms: int = 150) -> None:
        self.down(button)
        self.advance(ms)
        self.up(button)
        self.advance(50)

    # --- the other end ----------------------------------------------------------------------------------------------

    def connect(self) -> None:
        self.generation += 1
        self.link.up = True
        self.turn(LinkUp(self.generation))

    def disconnect(self) -> None:
        self.link.up = False
        self.turn(LinkDown("pulled"))

    def deliver(self, desired: Desired) -> None:
        self.deliver_raw(self.topic(Channel.DESIRED), encode(desired))

    def deliver_raw(self, topic: str, payload: bytes) -> None:
        self.turn(Delivery(topic, payload, self.generation, mid=len(self.trail), qos=1))

    def desire(self, **fields: Any) -> None:
        """A desired state with the next rev."""
        self.rev += 1
        self.deliver(Desired(rev=self.rev, **fields))

    def topic(self, channel: Channel) -> str:
        return f"doorbell/v1/west-lake/dev-1/{channel}"

    # --- what was seen ----------------------------------------------------------------------------------------------

    def events(self) -> list[Event]:
        """Every event sent, resends included."""
        return [decode(Event, one.payload) for one in self._published(Channel.EVENT)]

    def reports(self) -> list[Reported]:
        return [decode(Reported, one.payload) for one in self._published(Channel.REPORTED)]

    def tones(self) -> list[Tone]:
        return [one for one in self.trail if isinstance(one, Tone)]

    def lights(self) -> list[Light]:
        return [one for one in self.trail if isinstance(one, Light)]

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self.trail.clear()

    @property
    def stage(self) -> str:
        return self.runtime.snapshot().stage

    def _published(self, channel: Channel) -> Iterator[Published]:
        topic = self.topic(channel)
        return (one for one in self.trail if isinstance(one, Published) and one.topic == topic)


def as_json(payload: bytes) -> Any:
    return json.loads(payload)
