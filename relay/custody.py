"""Communities that come and go while the relay runs: loaded from the database, heard again, told again, let go.

What a community needs in memory is exactly what a start needs for all of them. So taking one over, coming back after
the database has refused a write, and a restart are the same thing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import structlog

from doorbell.errors import DoorbellBug
from doorbell.wire import Event
from relay.book import AlarmBook
from relay.core.alarm import Alarm
from relay.core.register import Register
from relay.elsewhere import Elsewhere
from relay.engine import Engine
from relay.held import Held
from relay.hooks import HookDesk
from relay.intake import Heard
from relay.ports import Batch, Snapshot, Store
from relay.telling import Teller
from relay.turn import Turn
from relay.watch import Watch

ADOPTED_AT_ONCE = 50
"""Communities loaded in one turn, so that a relay that takes over hundreds goes on beating in between."""


class Custody:
    """The parts of a relay's memory, as far as communities are put into them and taken out."""

    def __init__(
        self, store: Store, held: Held, book: AlarmBook, watch: Watch, teller: Teller, hooks: HookDesk, engine: Engine
    ) -> None:
        self.held = held
        self._store = store
        self._book = book
        self._watch = watch
        self._teller = teller
        self._hooks = hooks
        self._engine = engine
        self._elsewhere = Elsewhere()
        self._waiting: dict[str, int] = {}
        self._arrived: list[str] = []
        self._replay: dict[str, Heard] = {}
        self._rebuilt: list[Alarm] = []
        self._log = structlog.get_logger("relay").bind()

    def find_spoilt(self, snapshot: Snapshot) -> None:
        """What could not be read of what was loaded: said aloud, and written again by the next turn if it is known."""
        rebuilt = [snapshot.alarms[alarm] for alarm in snapshot.rebuilt]
        for alarm in rebuilt:
            self._log.error("alarm.rebuilt", alarm=alarm.id, community=alarm.community)
        for alarm_id in snapshot.unreadable:
            self._log.error("alarm.unreadable", alarm=alarm_id)
        self._engine.counts["spoilt.rebuilt"] += len(rebuilt)
        self._engine.counts["spoilt.unreadable"] += len(snapshot.unreadable)
        self._rebuilt += rebuilt

    def write_again(self, turn: Turn) -> None:
        """The alarms whose rows were spoilt: what is open with a line in the journal."""
        rebuilt, self._rebuilt = self._rebuilt, []
        for alarm in rebuilt:
            if alarm.id in self._book.by_id:
                self._engine.recover(turn, alarm)
            elif alarm.community in self.held:
                turn.batch.alarms[alarm.id] = alarm  # the row says that it is open, the journal that it is not

    def adopt(self, fences: Mapping[str, int]) -> None:
        """Begin to serve these; they are loaded by the next turns."""
        self._waiting.update(fences)

    def adopting(self) -> Collection[str]:
        """Those that wait to be loaded."""
        return self._waiting.keys()

    def forget(self, communities: Collection[str], register: Register) -> None:
        """Serve these no more: out of memory, as if they had never been there."""
        gone = frozenset(communities)
        self.held.drop(gone)
        for community in gone:
            self._waiting.pop(community, None)
        self._arrived = [community for community in self._arrived if community not in gone]
        self._replay = {key: heard for key, heard in self._replay.items() if heard.address.community not in gone}
        self._book.forget(gone)
        self._hooks.forget(gone)
        self._engine.forget(gone)
        self._teller.forget(device.id for device in register.devices.values() if device.community in gone)

    def start_over(self, lost: Collection[str], register: Register) -> None:
        """A write was refused: what this turn has made of the memory is not so. Load again all but what is lost."""
        left = {community: fence for community, fence in self.held.fences.items() if community not in lost}
        self.forget([*self.held.fences], register)
        self.adopt(left)

    def keep(self, heard: Heard, event: Event, now_ms: int) -> None:
        """An event that was heard for a community of somebody else's."""
        self._elsewhere.keep(heard, event, now_ms)

    def load_some(self, mono_ms: int) -> Mapping[str, Heard]:
        """Load the next communities; returns the events that were heard for them before. ``StoreError``: call again.

        What is returned is returned again until ``welcome``, in case the turn cannot go on.
        """
        some = dict(list(self._waiting.items())[:ADOPTED_AT_ONCE])
        if some:
            snapshot = self._store.load(some.keys())
            for alarm in snapshot.alarms.values():
                self._book.put(alarm)
            self.find_spoilt(snapshot)
            self._teller.adopt(snapshot.twins)
            self._teller.certify(snapshot.renewals)
            self._hooks.adopt(snapshot.notices, mono_ms)
            self._engine.adopt(snapshot.early)
            for community, fence in some.items():
                del self._waiting[community]
                self.held.put(community, fence)
            self._arrived += some
            self._replay.update(self._elsewhere.take(some.keys(), mono_ms))
        return self._replay

    def welcome(self, turn: Turn, register: Register) -> Iterable[str]:
        """The communities that were loaded: look at their alarms, and tell devices what they have not been told.

        Returns the devices whose desired state is to be computed anew.
        """
        arrived, self._arrived, self._replay = frozenset(self._arrived), [], {}
        if not arrived:
            return ()
        self._engine.cap_deadlines(turn, arrived)
        self._engine.look_at(alarm.id for alarm in self._book.by_id.values() if alarm.community in arrived)
        devices = [device for device in register.devices.values() if device.community in arrived]
        for device in devices:
            seen = self._watch.seen.get(device.id)
            if seen is not None and seen.rev is not None:
                self._teller.reported(turn, device, seen.rev)
        return [device.id for device in devices]

    def fences_of(self, batch: Batch, touched: Iterable[str], register: Register) -> Mapping[str, int]:
        """The fencing numbers under which a batch may be written. ``touched``: communities that no row names."""
        if self.held.everything:
            return {}
        communities = set(touched)
        for rows in (batch.events, batch.journal, batch.alarms.values(), batch.notices.values()):
            communities.update(row.community for row in rows)
        communities.update(register.devices[twin].community for twin in batch.twins if twin in register.devices)
        foreign = communities - self.held.fences.keys()
        if foreign:
            raise DoorbellBug(f"a turn wrote about {', '.join(sorted(foreign))}, which this relay does not hold")
        return self.held.fences_of(communities)
