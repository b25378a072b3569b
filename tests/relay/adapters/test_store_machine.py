"""Any sequence of what a relay does, on a database and on the village's store: never a difference, whatever breaks.

Processes are replaced between the steps, and connections break in the middle of commits; a batch that failed is
committed again, as the relay's loop does.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from doorbell.wire import AlarmKind
from relay.adapters.store import SqlStore
from relay.core.alarm import Alarm, NoteType, Outcome
from relay.ports import Batch, NoticeRow, RejectedRow, StoreError, TwinRow
from relay.retention import Kept
from sim.stores import MemoryStore
from tests.postgres import Cut, Cutter, PostgresServer
from tests.relay.rows import T0, a_register, accepted, after_s, an_alarm, changing, closed, event_of, raising, uid

HOMES = ("home-liu", "home-chen", "home-wu")
TRIES = 4
_homes = st.sampled_from(HOMES)
_cuts = st.sampled_from((None, None, *Cut))
_kinds = st.sampled_from((AlarmKind.HELP, AlarmKind.CHECKIN))


class StoreMachine(RuleBasedStateMachine):
    """A relay's store beside the model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = MemoryStore()
        self.numbers = count(1)
        self.store = self.make()

    def make(self) -> SqlStore:
        """A new database."""
        raise NotImplementedError

    def reopen(self) -> SqlStore:
        """The same database, by the next process."""
        raise NotImplementedError

    def break_at(self, cut: Cut | None) -> None:
        """Let the next commit's connection break there; None: it holds."""
        raise NotImplementedError

    def both(self, batch: Batch, cut: Cut | None = None) -> None:
        """Commit to both, again while the database says that it may work."""
        self.break_at(cut)
        for left in reversed(range(TRIES)):
            try:
                self.store.commit(batch)
                break
            except StoreError as error:
                if not error.retryable or not left:
                    raise
        self.break_at(None)
        self.model.commit(batch)

    def open_alarms(self) -> list[Alarm]:
        return self.model.alarms(limit=100)

    @rule(home=_homes, kind=_kinds, cut=_cuts)
    def press(self, home: str, kind: AlarmKind, cut: Cut | None) -> None:
        number = next(self.numbers)
        alarm = replace(an_alarm(number, household=home, at=after_s(number)), kind=kind)
        batch = raising(alarm)
        batch.events[0] = event_of(number, alarm=alarm.id)
        if any((one.household, one.kind) == (home, kind) for one in self.open_alarms()):
            batch = Batch(events=batch.events)
        self.both(batch, cut)

    @precondition(lambda self: self.open_alarms())
    @rule(data=st.data(), over=st.booleans(), cut=_cuts)
    def answer(self, data: st.DataObject, over: bool, cut: Cut | None) -> None:
        alarm = data.draw(st.sampled_from(self.open_alarms()))
        after = closed(accepted(alarm)) if over else accepted(alarm)
        batch = changing(after, NoteType.CLOSED if over else NoteType.ACCEPTED)
        batch.twins["bell-peng"] = TwinRow("bell-peng", next(self.numbers), (uid(1),), b"{}")
        self.both(batch, cut)

    @rule(state=st.sampled_from(("pending", "sent", "failed")), slot=st.integers(0, 3))
    def tell(self, state: str, slot: int) -> None:
        row = NoticeRow(f"n/{slot}", "xihu", uid(1), "board", {}, T0, state=state, attempts=next(self.numbers))
        self.both(Batch(notices={row.id: row}, rejected=[RejectedRow(T0, "t", b"\x00", "not_json", state)]))

    @rule(early=st.booleans())
    def say_early(self, early: bool) -> None:
        number = next(self.numbers)
        if early:
            self.both(Batch(events=[event_of(number, alarm=uid(999), verdict="early", at=after_s(number))]))
        elif waiting := self.model.early():
            self.both(Batch(moved={waiting[-1].id: after_s(number)}))
            self.both(Batch(verdicts={waiting[0].id: ("applied", uid(1))}))

    @rule(data=st.data())
    def command(self, data: st.DataObject) -> None:
        _, waiting = self.model.poll()
        if waiting:
            self.both(Batch(commands_done={data.draw(st.sampled_from(list(waiting))).id: "applied"}))
        else:
            asked = (uid(1), Outcome.HELPED, "", "office")
            assert self.store.add_command(*asked) == self.model.add_command(*asked)

    @rule()
    def import_register(self) -> None:
        assert self.store.replace_register(a_register()) == self.model.replace_register(a_register())

    @rule()
    def end_and_begin(self) -> None:
        self.store.close()
        self.store = self.reopen()

    @rule()
    def look_for_what_is_old(self) -> None:
        assert self.store.forget_old(dict.fromkeys(Kept, T0)) == dict.fromkeys(Kept, 0)

    @invariant()
    def tells_the_same(self) -> None:
        mine, model = self.store.load(), self.model.load()
        assert (mine.register, mine.register_version, mine.twins, mine.notices) == (
            model.register,
            model.register_version,
            model.twins,
            model.notices,
        )
        assert (dict(mine.alarms), list(mine.early)) == (dict(model.alarms), list(model.early))
        assert [replace(line, seq=0) for line in self.store.journal()] == [
            replace(line, seq=0) for line in self.model.journal()
        ]
        assert self.store.rebuild_alarms() == self.model.rebuild_alarms()
        assert self.store.poll() == self.model.poll()
        assert len(self.store.rejected()) == len(self.model.rejected())

    def teardown(self) -> None:
        assert self.store.verify().findings == []
        self.store.close()


class SqliteMachine(StoreMachine):
    """On a file; nothing breaks between two statements of one process there."""

    def make(self) -> SqlStore:
        self.folder = Path(tempfile.mkdtemp(prefix="doorbell-store-"))
        return self.reopen()

    def reopen(self) -> SqlStore:
        return SqlStore.open(self.folder / "relay.sqlite3", exclusive=True)

    def break_at(self, cut: Cut | None) -> None:
        pass

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


def on_server(server: PostgresServer) -> type[StoreMachine]:
    """The same on a server, over a connection that breaks in the middle of commits."""

    class PostgresMachine(StoreMachine):
        def make(self) -> SqlStore:
            self.cutter = Cutter(server, server.database(server.template)).__enter__()
            return self.reopen()

        def reopen(self) -> SqlStore:
            return SqlStore.open(self.cutter.url, exclusive=True)

        def break_at(self, cut: Cut | None) -> None:
            self.cutter.cut_at(cut)

        def teardown(self) -> None:
            super().teardown()
            self.cutter.__exit__()

    return PostgresMachine


def run(machine: Any, examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_file_and_the_village_never_differ() -> None:
    run(SqliteMachine, examples=8)


@pytest.mark.slow
def test_a_file_and_the_village_never_differ_at_length() -> None:
    run(SqliteMachine, examples=300)


@pytest.mark.slow
def test_a_server_and_the_village_never_differ(postgres: PostgresServer) -> None:
    run(on_server(postgres), examples=60)
