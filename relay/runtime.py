"""The relay's shell: what comes in, through the core, into the database, and out again.

One thread calls ``turn`` with everything that has arrived, or ``decide`` and ``perform`` where a failed commit must be
tried again. ``decide`` reads the clocks once, reads the database first (a failure there has changed nothing yet), and
applies every input; ``perform`` commits, acknowledges to the broker, publishes, tells hooks and logs, in this order.
There is no thread, no timer and no real clock in here: ``next_wake_ms`` says how long the caller may sleep, so the
village runs this very class on virtual time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

import structlog

from doorbell.errors import DoorbellBug
from doorbell.link import Delivery, Link, LinkDied, LinkDown, LinkEvent, LinkUp
from doorbell.wire import Desired, Event, Presence, Reported, Topics
from relay.book import AlarmBook
from relay.clock_watch import ClockWatch
from relay.core.alarm import ClosedBy
from relay.core.desk import Reject, check_sender
from relay.core.timing import FRESH, QUEUED
from relay.custody import Custody
from relay.engine import Engine
from relay.figures import Gauges
from relay.flood import Flood
from relay.held import Held
from relay.hooks import HookDesk
from relay.intake import Backlog, Heard, RejectLog, RejectMemory, Unusable, latest_copies, read_delivery
from relay.news import POLL_MS, News, NewsDesk, ReadRegister
from relay.ports import AuditFound, Clock, NoticeDelivered, Notifier, Store
from relay.renewals import RenewalDesk
from relay.telling import Teller
from relay.transition_log import log_transitions
from relay.turn import Turn
from relay.watch import Watch

RelayInput = LinkEvent | NoticeDelivered | Backlog | Flood | AuditFound

REFRESH_SIZE = 200
"""Devices computed anew in one turn after a start or a new register: about 5 ms, which a press can wait."""
BACKLOG_MS = 60_000
"""So long after a connection the broker's queue may still be coming in; afterwards nothing has waited in it."""
_MS = timedelta(milliseconds=1)


class RelayRuntime:
    """One relay. ``start`` once, then ``turn`` for ever; ``counts`` has what happened how often, by name.

    ``held``: with leases (``relay.leases``) only what was adopted is served; without, everything.
    ``flush`` is called once after a turn's acknowledgements and publications, for a link that waits for it.
    ``read_register``: None asks the store, which takes the turn's time.
    ``stopwatch`` (seconds, of the clock of ``Delivery.arrived_s``) measures, and tells how long an event has waited.
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
        held: Held | None = None,
        flush: Callable[[], None] = lambda: None,
        stopwatch: Callable[[], float] = lambda: 0.0,
        read_register: ReadRegister | None = None,
    ) -> None:
        self._store = store
        self._link = link
        self._notifier = notifier
        self._clock = clock
        self._topics = topics
        self._poll_ms = poll_ms
        self.held = held if held is not None else Held(everything=True)
        self._flush = flush
        self._stopwatch = stopwatch
        self._read_register = read_register or store.load_register
        self._log = structlog.get_logger("relay").bind()
        self._rejects = RejectMemory()
        self._reject_log = RejectLog(self._log)
        self.counts: Counter[str] = Counter()
        self.book = AlarmBook()
        self._to_refresh: deque[str] = deque()
        self._link_is_up = False
        self._deaf_from_ms: int | None = None
        self._fresh_from_ms: int | None = None

    def start(self) -> None:
        """Load what was committed; deadlines continue. Nothing is published before the link is up."""
        snapshot = self._store.load(None if self.held.everything else ())
        mono_ms = self._clock.monotonic_ms()
        self._register, self._register_version = snapshot.register.indexed(), snapshot.register_version
        for alarm in snapshot.alarms.values():
            self.book.put(alarm)
        self._watch = Watch(self.book, self.held, self._register)
        self._teller = Teller(self._topics, self.book, self.held, self._register, snapshot.twins)
        self._hooks = HookDesk(self._register, snapshot.notices, mono_ms)
        desk = RenewalDesk(self._teller, snapshot.renewals, self.counts)
        self._engine = Engine(
            self.book, self._watch, self._hooks, desk, register=self._register, early=snapshot.early, counts=self.counts
        )
        self._custody = Custody(self._store, self.held, self.book, self._watch, self._teller, self._hooks, self._engine)
        self._custody.find_spoilt(snapshot)
        self._news = NewsDesk(self._store, self.book, self.held, self._poll_ms, mono_ms, self._read_register)
        anchor = snapshot.anchor if self.held.everything else None  # of several machines each has clocks of its own
        self._clock_watch = ClockWatch(self._clock.boot_id(), anchor, self._engine)
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
        turn, now_s = Turn(self._clock.now(), self._clock.monotonic_ms()), self._stopwatch()
        if self._fresh_from_ms is not None and turn.mono_ms >= self._fresh_from_ms:
            turn.waited = FRESH
        read = [read_delivery(self._topics, i, now_s) if isinstance(i, Delivery) else i for i in inputs]
        if turn.waited != FRESH or any(isinstance(item, LinkUp) for item in inputs):
            read = latest_copies(read)
        kept = self._custody.load_some(turn.mono_ms)
        news = self._news.ask([*kept.values(), *read], self._register, self._register_version, turn.mono_ms)
        read = [*(heard for event, heard in kept.items() if event not in news.known), *read]
        self._clock_watch.check(turn)
        self._apply_news(turn, news)
        self._to_refresh.extend(self._custody.welcome(turn, self._register))
        self._custody.write_again(turn)
        for item in read:
            match item:
                case Heard():
                    turn.acks.append(item.delivery)
                    self._apply(turn, item, news)
                case Unusable():
                    turn.acks.append(item.delivery)
                    if self._is_ours(item.community):
                        self._reject(turn, item.delivery, item.reason, item.detail, item.delivery.payload)
                case NoticeDelivered():
                    self._apply_outcome(turn, item)
                case Backlog():
                    self._apply_backlog(turn, item)
                case Flood():
                    turn.acks += item.deliveries
                    self.counts["event.over_limit"] += len(item.deliveries)
                case AuditFound():
                    self._apply_audit(turn, item, news)
                case LinkUp():
                    turn.waited, self._fresh_from_ms = QUEUED, turn.mono_ms + BACKLOG_MS
                    self._link_is_up, self._deaf_from_ms = True, None
                    self._watch.link_up(turn.mono_ms)
                case LinkDown():
                    self.counts["link.down"] += 1
                    self._deaf_from_ms = turn.mono_ms if self._link_is_up else self._deaf_from_ms
                    self._link_is_up = False
                    self._watch.link_down()
                case LinkDied():
                    raise DoorbellBug(f"the link's thread died: {item.reason}")
        self._pass_time(turn)
        if self._link_is_up:
            self._teller.connected(turn)
        self.counts["desired.repaired"] += self._teller.repair(turn, self._watch.seen)
        self.counts["desired.overtaken"] += self._teller.overtake(turn)
        self._teller.settle(turn, self._watch.online)
        turn.batch.fences = self._custody.fences_of(turn.batch, turn.touched, self._register)
        return turn

    def perform(self, turn: Turn) -> Turn:
        """Commit, acknowledge, publish, tell hooks, log. After a ``StoreError`` call again with the same turn; after
        ``LeaseLostError`` call ``start_over`` and decide the same inputs anew.
        """
        if turn.batch:
            turn.begun_s = self._stopwatch()
            self._store.commit(turn.batch)
            turn.committed_s = self._stopwatch()
        for delivery in turn.acks:
            self._link.ack(delivery)
        # The one other reading of the clock: the commit may have taken long, and others may decide by now. What is
        # committed they know; what is published now could overtake what they publish.
        if not self.held.sure(self._clock.monotonic_ms()):
            self._keep_silent(turn)
        for device, (topic, payload) in turn.publish.items():
            if not self._link.publish(topic, payload, qos=1, retain=True):
                self._teller.not_sent(device)
        if turn.acks or turn.publish:
            self._flush()
        turn.published_s = self._stopwatch()
        for row, hook in turn.tell:
            self._notifier.send(row, hook)
        log_transitions(self._log, turn.batch.journal)
        self._reject_log.tell(turn.batch.rejected, turn.mono_ms)
        return turn

    def _keep_silent(self, turn: Turn) -> None:
        """Say nothing of a turn: if the communities are still ours, the next sure turn says it."""
        if not turn.publish and not turn.tell:
            return
        self.counts["lease.silent"] += 1
        self._log.warning("turn.silent", publications=len(turn.publish), notices=len(turn.tell))
        for device in turn.publish:
            self._teller.not_sent(device)
        for row, _ in turn.tell:
            self._hooks.not_told(row.id, turn.mono_ms)
        turn.publish.clear()
        turn.tell.clear()

    def prove_disk(self) -> None:
        """Have the next turn commit something even if nothing happens: the only proof that the database takes it."""
        self._clock_watch.prove()

    def is_news(self, delivery: Delivery) -> bool:
        """Whether a ``reported`` must be read: it says something new, or cannot be understood. Any thread may ask."""
        heard = read_delivery(self._topics, delivery)
        if not isinstance(heard, Heard) or not isinstance(heard.message, Reported):
            return True
        return self._watch.says_anything_new(heard.address.device, heard.message)

    def gauges(self) -> Gauges:
        """How things stand. Any thread may ask: each part is one look, so they may be of two neighbouring turns."""
        seen, online = len(self._watch.seen), len(self._watch.online)
        return Gauges(
            link_is_up=self._link_is_up,
            open_alarms=dict(self.book.stages),
            held=len(self._register.communities) if self.held.everything else len(self.held.fences),
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
        if self._to_refresh or self._engine.has_more() or self._custody.adopting():
            return self._clock.monotonic_ms()
        wakes = [self._news.next_poll_ms, self._teller.next_ms(), self._hooks.next_ms(), self._watch.next_ms()]
        deadline = self.book.next_deadline()
        if deadline is not None:
            wait_ms = -((self._clock.now() - deadline) // _MS)
            wakes.append(self._clock.monotonic_ms() + max(wait_ms, 0))
        return min(wake for wake in wakes if wake is not None)

    # -----------------------------------------------------------------------------------------------------------------
    # Leases: what ``relay.leases`` asks and tells, between two turns

    def communities(self) -> Collection[str]:
        """All that are registered."""
        return self._register.communities.keys()

    def hears(self, patience_ms: int) -> bool:
        """Whether it knows which devices are there, and hears them or did so ``patience_ms`` ago."""
        deaf = self._deaf_from_ms is not None and self._clock.monotonic_ms() - self._deaf_from_ms >= patience_ms
        return self._watch.settled and not deaf

    def adopt(self, fences: Mapping[str, int]) -> None:
        """Serve these communities from the next turn on."""
        self._custody.adopt(fences)

    def adopting(self) -> Collection[str]:
        """Those that are adopted and not loaded yet."""
        return self._custody.adopting()

    def forget(self, communities: Collection[str]) -> None:
        """Serve these no more."""
        self._custody.forget(communities, self._register)

    def start_over(self, lost: Collection[str]) -> None:
        """A write was refused because these are lost: load the others again, and decide the same inputs anew."""
        self.counts["lease.refused"] += 1
        self.counts["lease.lost"] += len(lost)
        self._log.warning("write.refused", communities=sorted(lost))
        self._custody.start_over(lost, self._register)

    def _is_ours(self, community: str | None) -> bool:
        """Whether this relay speaks for a community; for those that nobody has registered one relay does."""
        communities = self._register.communities
        known = community in communities or not communities or self.held.everything
        return (community if known else min(communities)) in self.held

    # -----------------------------------------------------------------------------------------------------------------
    # What the database says

    def _apply_news(self, turn: Turn, news: News) -> None:
        if news.register is not None:
            before = self._register
            self._register_version, self._register = news.register
            for device in before.devices.values():
                if device.id not in self._register.devices and device.community in self.held:
                    self._teller.dismiss(turn, device)
            for part in (self._watch, self._teller, self._hooks, self._engine):
                part.register = self._register
            self._to_refresh = deque(self._register.devices)
            self._teller.adopt(news.twins)
            self._log.info("register.loaded", version=self._register_version, devices=len(self._register.devices))
        self._engine.renewals.tell(turn, news, self._register, self.held)
        for command in news.commands:
            if (alarm := self.book.find(command.alarm)) is None:
                turn.batch.commands_done[command.id] = "not_open"
                continue
            closing = ClosedBy(command.outcome, command.by)
            turn.batch.commands_done[command.id] = self._engine.advance(turn, alarm, closing)

    def _refresh_some(self, turn: Turn) -> None:
        """Compute anew the next devices of those that a new register or a restart asks for; a press goes first."""
        for _ in range(min(REFRESH_SIZE, len(self._to_refresh))):
            device = self._register.devices.get(self._to_refresh.popleft())
            if device is not None:
                turn.touch(device)

    # -----------------------------------------------------------------------------------------------------------------
    # What came in

    def _apply(self, turn: Turn, heard: Heard, news: News) -> None:
        match heard.message:
            case Event() as event:
                self._apply_event(turn, heard, event, news)
            case Reported() | Presence() as message:
                self._apply_presence(turn, heard, message)
            case Desired() as said:
                self._teller.overheard(turn, heard.address.device, said.rev)

    def _apply_event(self, turn: Turn, heard: Heard, event: Event, news: News) -> None:
        if not self._is_ours(heard.address.community):
            self.counts["event.elsewhere"] += 1
            self._custody.keep(heard, event, turn.mono_ms)
            return
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
            turn.raised[event.id] = heard.delivery.arrived_s

    def _apply_presence(self, turn: Turn, heard: Heard, message: Reported | Presence) -> None:
        device = self._register.devices.get(heard.address.device)
        if device is None or device.community != heard.address.community:
            detail = f"{heard.address.device} is not a device of {heard.address.community}"
            if self._is_ours(heard.address.community):
                self._reject(turn, heard.delivery, "unknown_device", detail, b"")
            return
        self._watch.heard(turn, device, message, retained=heard.delivery.retained)
        if isinstance(message, Reported) and device.community in self.held:
            self._teller.reported(turn, device, message.rev)

    def _apply_backlog(self, turn: Turn, backlog: Backlog) -> None:
        self._watch.behind(turn.mono_ms)
        self.counts["shed.superseded"] += len(backlog.superseded)
        self.counts["shed.nothing_new"] += len(backlog.shed)
        turn.acks += (*backlog.superseded, *backlog.shed)
        for delivery in backlog.shed:
            device = self._register.devices.get(self._topics.parse(delivery.topic).device)
            if device is not None:
                self._watch.vouch(turn, device)

    def _apply_audit(self, turn: Turn, audit: AuditFound, news: News) -> None:
        for alarm_id in audit.alarms:
            alarm = self.book.by_id.get(alarm_id) or news.found.get(alarm_id)
            if alarm is not None and alarm.is_open and alarm.community in self.held:
                self._engine.recover(turn, alarm)

    def _apply_outcome(self, turn: Turn, outcome: NoticeDelivered) -> None:
        self.counts["notice.sent" if outcome.ok else "notice.failed"] += 1
        if (deaf := self._hooks.delivered(turn, outcome)) is not None:
            self._engine.hook_failed(turn, deaf)

    def _reject(self, turn: Turn, delivery: Delivery, reason: str, detail: str, key: bytes) -> None:
        self.counts[f"rejected.{reason}"] += 1
        self._reject_log.count()
        if (row := self._rejects.row(delivery, reason, detail, key, turn.now)) is not None:
            turn.batch.rejected.append(row)

    # -----------------------------------------------------------------------------------------------------------------
    # Time

    def _pass_time(self, turn: Turn) -> None:
        self._watch.pass_time(turn)
        if self._watch.settle(turn):
            self._engine.look_at(self.book.by_id)
            self._to_refresh = deque(self._register.devices)
        self._engine.pass_time(turn)
        self._hooks.retry(turn, self.book.by_id)
        self._refresh_some(turn)
