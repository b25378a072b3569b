"""The shell of a device: inputs in, clock read once, core, effects in order. No thread, no sleep, no clock of its own.

A turn does everything in one order: commit to the outbox (one transaction), acknowledge what came, publish, light,
sound. So nothing leaves the device before it is on its disk, and a kill at any point loses at most what was not yet
committed. A disk that refuses is told and gone around: the press goes out from memory.

The real daemon runs turns from ``device.loop``; the village calls ``turn`` and ``next_deadline`` on its virtual time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from device.core.business import device_need
from device.core.button import Edge, Sample
from device.core.effects import Chime, Effect, Ignored, Noted, Play, Report, Send, Show, Tell, Tune
from device.core.line import LineState, lines_deadline, lines_due
from device.core.machine import (
    DesiredArrived,
    DeviceInput,
    DeviceLimits,
    LineInput,
    Proof,
    RowsFound,
    Trouble,
    advance_device,
    device_deadline,
    new_device,
)
from device.core.moment import Moment
from device.core.panel import PanelState
from device.core.renewal import KeyMade, RenewalLimits
from device.core.role import ButtonName, ChimeStarted, ChimeStopped, LinkChanged, PeerSaid, Role, TimePassed
from device.core.signals import Light, Tone
from device.core.wellness import Reading, WellnessLimits, WellnessState, advance_wellness
from device.ports import PinEdge, Ports, RuntimeInput
from device.renewing import Renewer
from device.saving import OutboxSaver
from doorbell.broker_order import Need
from doorbell.errors import PeerError
from doorbell.link import Delivery, LinkDied, LinkDown, LinkUp
from doorbell.wire import MAX_FAULTS, Channel, Desired, Event, Fault, Reported, Topics, WireModel, decode, encode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNKEPT = 10_000
"""So many numbers above those on its disk a program begins. The one before noted there only where it began and what the
disk took, and may have sent more from memory; of one panel the relay takes the smaller number for the earlier."""

_log = structlog.get_logger("device.runtime")


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """Who this device is, and its thresholds. ``poll_ms``: how often every button's level is read as a second opinion
    on the edges, None: only when the core asks. ``health_ms``: how often the health is judged, None: never."""

    device: str
    community: str
    role: Role
    firmware: str
    topics: Topics = field(default_factory=Topics)
    limits: DeviceLimits = field(default_factory=DeviceLimits)
    wellness: WellnessLimits = field(default_factory=WellnessLimits)
    renewal: RenewalLimits = field(default_factory=RenewalLimits)
    poll_ms: int | None = 2_000
    health_ms: int | None = 5_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a device shows and knows, for a technician, a test or a demo. Ids only."""

    device: str
    role: Role
    stage: str
    """A panel's stage; of a bell: ringing, answering, mine, taken or idle."""
    light: Light | None
    tone: Tone | None
    """The last tone played, and how many there were."""
    tones: int
    sounding: tuple[str, ...]
    rev: int
    outbox: int
    link: bool


class DeviceRuntime:
    """A device that turns. All calls on one thread.

    Reads the outbox and the levels of the buttons at once; the first turn shows the light.
    """

    def __init__(self, settings: RuntimeSettings, ports: Ports) -> None:
        self._settings = settings
        self._ports = ports
        self._desired_topic = self._topic(Channel.DESIRED)
        self._event_topic = self._topic(Channel.EVENT)
        self._reported_topic = self._topic(Channel.REPORTED)
        self._saver = OutboxSaver(ports.store)
        self._renewer = Renewer(ports.identity, settings.device, settings.renewal)
        self._tone: Tone | None = None
        self._tones = 0
        self.counters: Counter[str] = Counter()
        """How often what was ignored or refused, by reason."""
        self.fatal: str | None = None
        """Set when the process must end and be started again."""
        moment = self._moment()
        stored, trouble = self._saver.load(moment.now_ms)
        self._first = () if trouble is None else (trouble,)
        rows, used = ((), 0) if stored is None else (stored.rows, stored.next_seq)
        lines = {name: bool(ports.pins.level(name)) for name in ports.pins.fitted()}
        # Numbers also rise above those of a file that was lost: a wall clock in ms outruns any count of events.
        next_seq = max(used + UNKEPT, (moment.wall - _EPOCH) // timedelta(milliseconds=1))
        if stored is not None:
            self._saver.reserve(next_seq)
        self.state = new_device(
            role=settings.role,
            lines=lines,
            rows=rows,
            next_seq=next_seq,
            now_ms=moment.now_ms,
            limits=settings.limits,
        )
        self._poll_at_ms = moment.now_ms + (settings.poll_ms or 0)
        self._wellness = WellnessState()
        self._health_at_ms = moment.now_ms + (settings.health_ms or 0)
        self._lines_of: Mapping[ButtonName, LineState] | None = None
        self._lines_at_ms: int | None = None

    def turn(self, inputs: Iterable[RuntimeInput] = (), *, more: bool = False) -> None:
        """Take in what has come, look at every deadline, and do all that follows from it.

        ``more``: further inputs wait already. Edges among them are older than any level read now, so none is read.
        """
        moment = self._moment()
        effects: list[Effect] = []
        deliveries: list[Delivery] = []
        first, self._first = self._first, ()
        for trouble in first:
            self._advance(trouble, moment, effects)
        for item in inputs:
            self._take(item, moment, effects, deliveries)
        for button in () if more else self._buttons_to_read(moment.now_ms):
            self._advance(LineInput(button, Sample(self._ports.pins.level(button))), moment, effects)
        for trouble in self._unwell(moment):
            self._advance(trouble, moment, effects)
        self._advance(TimePassed(), moment, effects)
        calm, seq = self.need() is Need.NONE, self.state.outbox.next_seq
        for said in self._renewer.look(moment, self.state.twin, calm=calm, seq=seq):
            self._advance(said, moment, effects)
        self._perform(effects, deliveries, moment)

    def next_deadline(self) -> int | None:
        """The monotonic ms at which a turn is needed without any input; None: only an input needs one."""
        polls = self._settings.poll_ms is not None and bool(self.state.buttons)
        deadlines = (
            device_deadline(self.state, self._settings.limits),
            self._lines_deadline(),
            self._poll_at_ms if polls else None,
            None if self._settings.health_ms is None else self._health_at_ms,
            self._saver.retry_at_ms,
        )
        return min((at for at in deadlines if at is not None), default=None)

    def snapshot(self) -> Snapshot:
        """What the device shows and knows after the last turn."""
        role = self.state.role
        light = self.state.light
        if isinstance(role, PanelState):
            stage = role.stage.value
        else:
            stage = "idle" if light in (None, Light.READY, Light.OFFLINE) else light.value
        return Snapshot(
            device=self._settings.device,
            role=self._settings.role,
            stage=stage,
            light=light,
            tone=self._tone,
            tones=self._tones,
            sounding=() if isinstance(role, PanelState) else role.sounding,
            rev=self.state.twin.rev,
            outbox=len(self.state.outbox.waiting),
            link=self.state.twin.connected,
        )

    def need(self) -> Need:
        """What the link's connection is needed for now. May be asked by any thread: the state is frozen."""
        return device_need(self.state)

    # --- inputs -----------------------------------------------------------------------------------------------------

    def _take(self, item: RuntimeInput, moment: Moment, effects: list[Effect], deliveries: list[Delivery]) -> None:
        match item:
            case PinEdge(button, active, at_ms):
                self._advance(LineInput(button, Edge(active, at_ms)), moment, effects)
            case LinkUp():
                self._renewer.came_up(item, moment)
                self._advance(LinkChanged(up=True), moment, effects)
            case LinkDown():
                self._advance(LinkChanged(up=False), moment, effects)
            case LinkDied(reason):
                self.fatal = f"the link died: {reason}"
                self._advance(LinkChanged(up=False), moment, effects)
            case Delivery():
                deliveries.append(item)
                if (told := self._read(item)) is not None:
                    self._advance(told, moment, effects)
            case ChimeStarted() | ChimeStopped() | Trouble() | Proof():
                self._advance(item, moment, effects)
            case KeyMade():
                self._renewer.made(item, moment)

    def _read(self, delivery: Delivery) -> DesiredArrived | PeerSaid | None:
        """A desired state, or what a peer says; rubbish is acknowledged, counted, and logged for a technician."""
        kind = "desired" if delivery.topic == self._desired_topic else "peer"
        try:
            if kind == "desired":
                return DesiredArrived(decode(Desired, delivery.payload))
            address = self._settings.topics.parse(delivery.topic)
            if address.other != self._settings.device or address.community != self._settings.community:
                raise PeerError("bad_topic", delivery.topic[:200])
            if delivery.retained:
                raise PeerError("retained", "kept by the broker: it would call anew at every connect")
            return PeerSaid(address.device, decode(Event, delivery.payload))
        except PeerError as error:
            self.counters[f"{kind}_{error.reason}"] += 1
            _log.warning(f"{kind}.refused", reason=error.reason, detail=error.detail, bytes=len(delivery.payload))
            return None

    def _advance(self, event: DeviceInput, moment: Moment, effects: list[Effect]) -> None:
        self.state, asked = advance_device(self.state, event, moment, self._settings.limits)
        effects.extend(asked)

    def _buttons_to_read(self, now_ms: int) -> Sequence[ButtonName]:
        if self._settings.poll_ms is not None and now_ms >= self._poll_at_ms:
            self._poll_at_ms = now_ms + self._settings.poll_ms
            return tuple(self.state.buttons)
        at_ms = self._lines_deadline()
        if at_ms is None or at_ms > now_ms:
            return ()
        limits = self._settings.limits
        return lines_due(self.state.buttons, now_ms, limits.button, limits.contact)

    def _lines_deadline(self) -> int | None:
        """When some line needs a sample; worked out only when a line has changed, which in most turns none has."""
        if self._lines_of is not self.state.buttons:
            limits = self._settings.limits
            self._lines_of = self.state.buttons
            self._lines_at_ms = lines_deadline(self.state.buttons, limits.button, limits.contact)
        return self._lines_at_ms

    def _unwell(self, moment: Moment) -> Sequence[Trouble]:
        """What the health has become, with the link up or down; nothing between two readings."""
        if self._settings.health_ms is None or moment.now_ms < self._health_at_ms:
            return ()
        self._health_at_ms = moment.now_ms + self._settings.health_ms
        health, connected = self._ports.health.read(), self.state.twin.connected
        reading = Reading(health, moment.now_ms, moment.synced, connected)
        self._wellness, troubles = advance_wellness(self._wellness, reading, self._settings.wellness)
        return troubles

    def _moment(self) -> Moment:
        clock, chance = self._ports.clock, self._ports.chance
        return Moment(
            now_ms=clock.monotonic_ms(),
            wall=clock.wall(),
            synced=clock.synced(),
            boot=clock.boot_id(),
            entropy=chance.getrandbits(128),
            jitter=chance.uniform(-1.0, 1.0),
        )

    # --- effects ----------------------------------------------------------------------------------------------------

    def _perform(self, effects: list[Effect], deliveries: list[Delivery], moment: Moment) -> None:
        self._save(effects, moment)
        for delivery in deliveries:
            self._ports.link.ack(delivery)
        for effect in effects:
            match effect:
                case Send(event):
                    self._publish(self._event_topic, event, retain=False)
                case Tell(to, event):
                    topic = self._settings.topics.peer(self._settings.community, self._settings.device, to)
                    self._publish(topic, event, retain=False)
                    _log.info("peer.told", other=to, type=event.type.value, id=event.id)
                case Report():
                    self._report(effect, moment)
                case _:
                    pass
        self._signal(effects)

    def _save(self, effects: list[Effect], moment: Moment) -> None:
        """Commit the turn. May add effects: a disk that begins or ends to fail is told, from memory if need be."""
        self._saver.gather(effects)
        trouble = self._saver.save(moment.now_ms)
        if trouble is None:
            return
        told: list[Effect] = []
        if trouble.cleared and not self._saver.loaded:
            stored, aside = self._saver.load(moment.now_ms)
            if stored is not None:
                self._advance(RowsFound(stored.rows, stored.next_seq + UNKEPT), moment, told)
            if aside is not None:
                self._advance(aside, moment, told)
        self._advance(trouble, moment, told)  # last: it overtakes a row that was just found
        self._saver.gather(told)
        effects.extend(told)

    def _signal(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Show(light):
                    self._ports.pins.show(light)
                    _log.info("device.light", light=light.value, rev=self.state.twin.rev)
                case Chime(calls):
                    self._ports.sound.chime(calls)
                    _log.info("device.chime", alarms=[call.alarm for call in calls], rev=self.state.twin.rev)
                case Tune(percent, language):
                    self._ports.sound.tune(percent, language)
                case Ignored(reason, detail):
                    self.counters[reason] += 1
                    _log.debug("device.ignored", reason=reason, detail=detail)
                case Noted(event, detail):
                    _log.info(event, detail=detail)
                case _:
                    pass
        for effect in effects:  # after the chime: a tone is not played over one that has just been ended
            if isinstance(effect, Play):
                self._tone, self._tones = effect.tone, self._tones + 1
                self._ports.sound.play(effect)

    def _publish(self, topic: str, message: WireModel, *, retain: bool) -> None:
        if not self._ports.link.publish(topic, encode(message), qos=1, retain=retain):
            self.counters["not_published"] += 1  # sent again by the outbox's schedule, or reported at the next connect

    def _report(self, report: Report, moment: Moment) -> None:
        health = self._ports.health.read()
        if (days := self._renewer.days_left(moment)) is not None:
            health = health.model_copy(update={"certificate_days": days})
        reported = Reported(
            rev=report.rev,
            ringing=report.ringing,
            firmware=self._settings.firmware,
            clock=moment.clock,
            outbox=report.outbox,
            uptime_s=max(0, moment.now_ms // 1000),
            next_in_s=report.next_in_s,
            health=health,
            faults=self._faults(),
        )
        self._publish(self._reported_topic, reported, retain=True)

    def _faults(self) -> tuple[Fault, ...]:
        told = sorted(self.state.faults)[:MAX_FAULTS]
        return tuple(Fault(code=code[:40], subject=subject[:40]) for code, subject in told)

    def _topic(self, channel: Channel) -> str:
        return self._settings.topics.of(self._settings.community, self._settings.device, channel)
