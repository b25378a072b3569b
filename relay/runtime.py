"""The relay's shell: what comes in, through the core, into the database, and out again.

One thread calls ``turn`` with everything that has arrived, or ``decide`` and ``perform`` where a failed commit must be
tried again. ``decide`` reads the clocks once, reads the database first (a failure there has changed nothing yet), and
applies every input; ``perform`` commits, acknowledges to the broker, publishes, tells hooks and logs, in this order.
There is no thread, no timer and no real clock in here: ``next_wake_ms`` says how long the caller may sleep, so the
village runs this very class on virtual time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from doorbell.errors import DoorbellBug
from doorbell.link import Delivery, Link, LinkDied, LinkDown, LinkEvent, LinkUp
from doorbell.wire import Event, Presence, Reported, Topics, format_time
from relay.book import AlarmBook
from relay.core.alarm import Alarm, ClosedBy, NoteType
from relay.core.desk import Reject, check_sender
from relay.core.journal import LineType
from relay.core.register import Register
from relay.core.timing import FRESH, QUEUED
from relay.engine import Engine
from relay.figures import Gauges
from relay.hooks import HookDesk
from relay.intake import Heard, RejectLog, RejectMemory, Unusable, latest_copies, read_delivery
from relay.ports import Clock, ClockAnchor, Command, JournalRow, NoticeDelivered, Notifier, Store
from relay.telling import Teller
from relay.turn import Turn
from relay.watch import Watch

RelayInput = LinkEvent | NoticeDelivered

POLL_MS = 1_000
"""How often the database is asked for commands and a new register."""
REFRESH_SIZE = 200
"""Devices computed anew in one turn after a start or a new register: about 5 ms, which a press can wait."""
BACKLOG_MS = 60_000
"""So long after a connection the broker's queue may still be coming in; afterwards nothing has waited in it."""
CLOCK_STEP_MS = 200
"""A wall clock that moves this much against the machine's own was set: well under the 1 s that a deadline may move."""
_LONE_LINES = frozenset(line.value for line in LineType)
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _News:
    """What the database had to say at the beginning of a turn."""

    known: set[str]
    found: Mapping[str, Alarm]
    commands: Sequence[Command] = ()
    register: tuple[int, Register] | None = None


class RelayRuntime:
    """One relay. ``start`` once, then ``turn`` for ever; ``counts`` has what happened how often, by name.

    ``flush`` is called once after a turn's acknowledgements and publications, for a link that waits for it.
    ``stopwatch`` (seconds, of the clock of ``Delivery.arrived_s``) only measures: nothing is decided by it.
    """

    def __init__(
        self,
        store: Store,
        link: Link,
        notifier: Notifier,
        clock: Clock,
        topics: Topics,
        *,
        poll_ms: int = POLL_MS,
        flush: Callable[[], None] = lambda: None,
        stopwatch: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._store = store
        self._link = link
        self._notifier = notifier
        self._clock = clock
        self._topics = topics
        self._poll_ms = poll_ms
        self._flush = flush
        self._stopwatch = stopwatch
        self._log = structlog.get_logger("relay").bind()
        self._rejects = RejectMemory()
        self._reject_log = RejectLog(self._log)
        self.counts: Counter[str] = Counter()
        self.book = AlarmBook()
        self._to_refresh: deque[str] = deque()
        self._link_is_up = False
        self._fresh_from_ms: int | None = None
        self._prove = False

    def start(self) -> None:
        """Load what was committed; deadlines continue. Nothing is published before the link is up."""
        snapshot = self._store.load()
        mono_ms = self._clock.monotonic_ms()
        self._register, self._register_version = snapshot.register, snapshot.register_version
        for alarm in snapshot.alarms.values():
            self.book.put(alarm)
        self._watch = Watch(self.book, self._register)
        self._teller = Teller(self._topics, self.book, self._register, snapshot.twins)
        self._hooks = HookDesk(self._register, snapshot.notices)
        self._hooks.start(mono_ms)
        self._engine = Engine(
            self.book,
            self._watch,
            self._hooks,
            register=self._register,
            early=snapshot.early,
            counts=self.counts,
        )
        self._next_poll_ms = mono_ms
        anchor = snapshot.anchor
        same_boot = anchor is not None and anchor.boot_id != "" and anchor.boot_id == self._clock.boot_id()
        self._offset_ms = anchor.offset_ms if anchor is not None and same_boot else None
        self._log.info("relay.started", alarms=len(self.book.by_id), devices=len(self._register.devices))

    # -----------------------------------------------------------------------------------------------------------------
    # A turn

    def turn(self, inputs: Sequence[RelayInput]) -> None:
        """Decide and perform. A ``StoreError`` leaves the shell unusable: use the two halves where one may come."""
        self.perform(self.decide(inputs))

    def decide(self, inputs: Sequence[RelayInput]) -> Turn:
        """Apply inputs and the passing of time to the state in memory; nothing leaves the relay yet.

        Raises ``StoreError`` before anything has changed if the database cannot be read: call again with the same.
        """
        turn = Turn(self._clock.now(), self._clock.monotonic_ms())
        if self._fresh_from_ms is not None and turn.mono_ms >= self._fresh_from_ms:
            turn.waited = FRESH
        read = [read_delivery(self._topics, i) if isinstance(i, Delivery) else i for i in inputs]
        if turn.waited != FRESH or any(isinstance(item, LinkUp) for item in inputs):
            read = latest_copies(read)
        news = self._ask_store(turn, read)
        self._check_clock(turn)
        self._apply_news(turn, news)
        for item in read:
            match item:
                case Heard():
                    turn.acks.append(item.delivery)
                    self._apply(turn, item, news)
                case Unusable():
                    turn.acks.append(item.delivery)
                    self._reject(turn, item.delivery, item.reason, item.detail, item.delivery.payload)
                case NoticeDelivered():
                    self._apply_outcome(turn, item)
                case LinkUp():
                    turn.waited, self._fresh_from_ms = QUEUED, turn.mono_ms + BACKLOG_MS
                    self._link_is_up = True
                    self._watch.link_up(turn.mono_ms)
                case LinkDown():
                    self.counts["link.down"] += 1
                    self._link_is_up = False
                    self._watch.link_down()
                case LinkDied():
                    raise DoorbellBug(f"the link's thread died: {item.reason}")
        self._pass_time(turn)
        if self._link_is_up:
            self._teller.connected(turn)
        self.counts["desired.repaired"] += self._teller.repair(turn, self._watch.seen)
        self._teller.settle(turn, self._watch.online)
        return turn

    def perform(self, turn: Turn) -> Turn:
        """Commit, acknowledge, publish, tell hooks, log. After a ``StoreError`` call again with the same turn."""
        if turn.batch:
            turn.begun_s = self._stopwatch()
            self._store.commit(turn.batch)
            turn.committed_s = self._stopwatch()
        for delivery in turn.acks:
            self._link.ack(delivery)
        for device, (topic, payload) in turn.publish.items():
            if not self._link.publish(topic, payload, qos=1, retain=True):
                self._teller.not_sent(device)
        if turn.acks or turn.publish:
            self._flush()
        turn.published_s = self._stopwatch()
        for row, hook in turn.tell:
            self._notifier.send(row, hook)
        self._log_transitions(turn.batch.journal)
        self._reject_log.tell(turn.batch.rejected, turn.mono_ms)
        return turn

    def _log_transitions(self, journal: Sequence[JournalRow]) -> None:
        """One line for each transition: the journal's lines up to the one with the state that they led to."""
        facts: dict[str, object] = {}
        for line in journal:
            if not facts:
                facts["event"] = f"alarm.{line.type}" if line.alarm is not None else f"device.{line.type}"
            facts.update(line.data)
            whole = line.type != NoteType.RAISED.value
            if line.after is not None and whole:
                deadline = line.after.deadline
                facts.update(stage=line.after.stage.value, deadline=deadline and format_time(deadline))
            if line.alarm is None or (line.after is not None and whole) or line.type in _LONE_LINES:
                facts.update(alarm=line.alarm, household=line.household, device=line.device)
                self._log.info(**facts)
                facts = {}

    def prove_disk(self) -> None:
        """Have the next turn commit something even if nothing happens: the only proof that the database takes it."""
        self._prove = True

    def gauges(self) -> Gauges:
        """How things stand. Any thread may ask: each part is one look, so they may be of two neighbouring turns."""
        seen, online = len(self._watch.seen), len(self._watch.online)
        return Gauges(
            link_is_up=self._link_is_up,
            open_alarms=dict(self.book.stages),
            registered=len(self._register.devices),
            heard=seen,
            online=online,
            counts=dict(self.counts),
        )

    def monotonic_ms(self) -> int:
        """The clock that ``next_wake_ms`` speaks of."""
        return self._clock.monotonic_ms()

    def next_wake_ms(self) -> int:
        """The monotonic time, in ms, at which the next turn is needed even if nothing comes in."""
        wakes = [self._next_poll_ms, self._teller.next_ms(), self._hooks.next_ms(), self._watch.next_ms()]
        if self._to_refresh:
            return self._clock.monotonic_ms()
        deadline = self.book.next_deadline()
        if deadline is not None:
            wait_ms = -((self._clock.now() - deadline) // _MS)
            wakes.append(self._clock.monotonic_ms() + max(wait_ms, 0))
        return min(wake for wake in wakes if wake is not None)

    # -----------------------------------------------------------------------------------------------------------------
    # Before anything changes: what the database says

    def _ask_store(self, turn: Turn, read: Sequence[object]) -> _News:
        events = [item.message for item in read if isinstance(item, Heard) and isinstance(item.message, Event)]
        known = self._store.known_events([event.id for event in events]) if events else set()
        found: dict[str, Alarm] = {}
        for event in events:
            if event.alarm is not None and event.id not in known and self.book.find(event.alarm) is None:
                alarm = self._store.find_alarm(event.alarm)
                if alarm is not None:
                    found[event.alarm] = alarm
        if turn.mono_ms < self._next_poll_ms:
            return _News(known, found)
        version, commands = self._store.poll()
        register = self._store.load_register() if version != self._register_version else None
        self._next_poll_ms = turn.mono_ms + self._poll_ms
        return _News(known, found, commands, register)

    def _apply_news(self, turn: Turn, news: _News) -> None:
        if news.register is not None:
            before = self._register
            self._register_version, self._register = news.register
            for device in before.devices.values():
                if device.id not in self._register.devices:
                    self._teller.dismiss(turn, device)
            for part in (self._watch, self._teller, self._hooks, self._engine):
                part.register = self._register
            self._to_refresh = deque(self._register.devices)
            self._log.info("register.loaded", version=self._register_version, devices=len(self._register.devices))
        for command in news.commands:
            alarm = self.book.find(command.alarm)
            if alarm is None:
                turn.batch.commands_done[command.id] = "not_open"
                continue
            closing = ClosedBy(command.outcome, command.by, command.note)
            turn.batch.commands_done[command.id] = self._engine.advance(turn, alarm, closing)

    def _refresh_some(self, turn: Turn) -> None:
        """Compute anew the next devices of those that a new register or a restart asks for; a press goes first."""
        for _ in range(min(REFRESH_SIZE, len(self._to_refresh))):
            device = self._register.devices.get(self._to_refresh.popleft())
            if device is not None:
                turn.touch(device)

    # -----------------------------------------------------------------------------------------------------------------
    # What came in

    def _apply(self, turn: Turn, heard: Heard, news: _News) -> None:
        match heard.message:
            case Event() as event:
                self._apply_event(turn, heard, event, news)
            case Reported() | Presence() as message:
                self._apply_presence(turn, heard, message)

    def _apply_event(self, turn: Turn, heard: Heard, event: Event, news: _News) -> None:
        device = check_sender(self._register, heard.address.community, heard.address.device, event)
        if isinstance(device, Reject):
            self._reject(turn, heard.delivery, device.reason, device.detail, event.id.encode())
            return
        turn.receipts.setdefault(device.id, []).append(event.id)
        if event.id in news.known:
            self.counts["event.duplicate"] += 1
            return
        news.known.add(event.id)
        self._engine.take_event(turn, device, event, heard.delivery.payload, news.found)
        if event.id in self.book.by_id:
            turn.raised.append(heard.delivery.arrived_s)

    def _apply_presence(self, turn: Turn, heard: Heard, message: Reported | Presence) -> None:
        device = self._register.devices.get(heard.address.device)
        if device is None or device.community != heard.address.community:
            detail = f"{heard.address.device} is not a device of {heard.address.community}"
            self._reject(turn, heard.delivery, "unknown_device", detail, b"")
            return
        self._watch.heard(turn, device, message, retained=heard.delivery.retained)
        if isinstance(message, Reported):
            self._teller.reported(turn, device, message.rev)

    def _apply_outcome(self, turn: Turn, outcome: NoticeDelivered) -> None:
        self.counts["notice.sent" if outcome.ok else "notice.failed"] += 1
        deaf = self._hooks.delivered(turn, outcome)
        if deaf is not None:
            self._engine.hook_failed(turn, deaf)

    def _reject(self, turn: Turn, delivery: Delivery, reason: str, detail: str, key: bytes) -> None:
        self.counts[f"rejected.{reason}"] += 1
        self._reject_log.count()
        row = self._rejects.row(delivery, reason, detail, key, turn.now)
        if row is not None:
            turn.batch.rejected.append(row)

    # -----------------------------------------------------------------------------------------------------------------
    # Time

    def _check_clock(self, turn: Turn) -> None:
        """Notice that the wall clock was set, also between two runs of the relay within one boot of the machine."""
        offset_ms = (turn.now - _EPOCH) // _MS - turn.mono_ms
        delta_ms = 0 if self._offset_ms is None else offset_ms - self._offset_ms
        if self._offset_ms is not None and abs(delta_ms) < CLOCK_STEP_MS:
            if self._prove:
                turn.batch.anchor, self._prove = ClockAnchor(self._clock.boot_id(), self._offset_ms), False
            return
        self._prove = False  # the anchor below is a proof as well
        if self._offset_ms is None:  # another boot: a clock that is behind would put every deadline far away
            self._engine.cap_deadlines(turn)
        self._offset_ms = offset_ms
        turn.batch.anchor = ClockAnchor(self._clock.boot_id(), offset_ms)
        if delta_ms:
            self.counts["clock.stepped"] += 1
            self._log.warning("clock.stepped", delta_ms=delta_ms)
            self._engine.step_clock(turn, delta_ms)

    def _pass_time(self, turn: Turn) -> None:
        self._watch.pass_time(turn)
        if self._watch.settle(turn):
            self._to_refresh = deque(self._register.devices)
        self._engine.pass_time(turn)
        self._hooks.retry(turn, self.book.by_id)
        self._refresh_some(turn)
