"""What every store of the relay must do. ``StoreContract`` is run for each of them by tests/relay/adapters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import pytest

from doorbell.wire import AlarmKind
from relay.adapters.store_rows import MAX_REJECTED, MAX_REJECTED_BYTES, JournalLine
from relay.core.alarm import Alarm, AlarmStage, NoteType, Outcome
from relay.core.policy import DEFAULT_POLICIES
from relay.core.register import Register
from relay.core.renewal import Renewal, RenewalRow
from relay.ports import (
    Batch,
    ClockAnchor,
    Command,
    EventRow,
    JournalRow,
    NoticeRow,
    RejectedRow,
    Store,
    StoreError,
    TwinRow,
)
from tests.relay.rows import (
    T0,
    a_register,
    accepted,
    after_s,
    an_alarm,
    changing,
    closed,
    event_of,
    raising,
    registers,
    uid,
)


class ReadableStore(Store, Protocol):
    """A store with what the commands of the office use of it."""

    def replace_register(self, register: Register) -> int: ...
    def add_command(self, alarm: str, outcome: Outcome, note: str, by: str) -> int: ...
    def command_result(self, command: int) -> str | None: ...
    def note_of(self, alarm: str) -> str: ...
    def alarms(self, open_only: bool = True, limit: int = 100) -> list[Alarm]: ...
    def journal(
        self,
        *,
        alarm: str | None = None,
        community: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after_seq: int = 0,
        limit: int | None = None,
        types: Collection[str] = (),
    ) -> Iterator[JournalLine]: ...
    def rejected(self, limit: int = 100) -> list[RejectedRow]: ...
    def answer_renewal(self, row: RenewalRow, state: Renewal, answer: str, at: datetime) -> bool: ...
    def early(self) -> list[EventRow]: ...
    def notices(self, *, alarm: str | None = None, pending_only: bool = False) -> list[NoticeRow]: ...
    def rebuild_alarms(self) -> dict[str, Alarm]: ...


Reopen = Callable[[], ReadableStore]
"""The same data after the relay's process has ended and another has begun."""


class StoreContract:
    """Every test is a promise to the relay's shell, to the office's commands or to the village's checkers."""

    def test_an_empty_store_is_an_empty_relay(self, store: ReadableStore) -> None:
        snapshot = store.load()
        assert (snapshot.register, snapshot.register_version) == (Register(), 0)
        assert (snapshot.alarms, snapshot.twins, list(snapshot.early)) == ({}, {}, [])
        assert (snapshot.notices, snapshot.anchor) == ({}, None)
        assert store.poll() == (0, [])
        assert list(store.journal()) == []
        assert store.rebuild_alarms() == {}

    def test_what_was_committed_is_there_after_a_restart(self, store: ReadableStore, reopen: Reopen) -> None:
        alarm = an_alarm()
        batch = raising(alarm)
        batch.twins["panel-liu"] = TwinRow("panel-liu", 9, (uid(5), uid(1)), b'{"panel":null}')
        batch.anchor = ClockAnchor("boot-1", -1_234_567_890_123)
        store.commit(batch)

        again = reopen()
        snapshot = again.load()
        assert snapshot.alarms == {alarm.id: alarm}
        assert snapshot.twins == batch.twins
        assert snapshot.anchor == batch.anchor
        assert again.known_events([uid(1), uid(2)]) == {uid(1)}
        assert again.find_alarm(alarm.id) == alarm
        assert [line.type for line in again.journal()] == ["raised", "step_started"]

    def test_an_alarm_comes_back_the_same_in_every_stage(self, store: ReadableStore, reopen: Reopen) -> None:
        for state in (an_alarm(), accepted(an_alarm()), closed(accepted(an_alarm()))):
            store.commit(Batch(alarms={state.id: state}))
            found = reopen().find_alarm(state.id)
            assert found == state
            assert found is not None
            assert isinstance(found.stage, AlarmStage)

    def test_only_open_alarms_are_loaded(self, store: ReadableStore) -> None:
        first, second = an_alarm(1), an_alarm(2, household="home-chen")
        store.commit(raising(first))
        store.commit(raising(second))
        store.commit(changing(closed(first), NoteType.CLOSED))
        assert store.load().alarms == {second.id: second}
        assert store.find_alarm(first.id) == closed(first)

    def test_an_alarm_is_found_by_any_press_counted_to_it(self, store: ReadableStore) -> None:
        alarm = an_alarm(1)
        store.commit(raising(alarm))
        store.commit(Batch(events=[event_of(2, alarm=alarm.id), event_of(3)]))
        assert store.find_alarm(uid(2)) == alarm
        assert store.find_alarm(uid(3)) is None
        assert store.find_alarm(uid(4)) is None

    def test_thousands_of_ids_are_asked_for_at_once(self, store: ReadableStore) -> None:
        store.commit(Batch(events=[event_of(number) for number in range(0, 3_000, 2)]))
        asked = [uid(number) for number in range(3_000)]
        assert store.known_events(asked) == set(asked[::2])
        assert store.known_events([]) == set()

    def test_a_batch_that_cannot_be_written_whole_is_not_written_at_all(self, store: ReadableStore) -> None:
        store.commit(raising(an_alarm(1)))
        bad = raising(an_alarm(2, household="home-chen"))
        bad.events.append(event_of(1))
        bad.rejected.append(RejectedRow(T0, "t", b"", "not_json", ""))
        with pytest.raises(StoreError) as caught:
            store.commit(bad)
        assert not caught.value.retryable
        assert (store.known_events([uid(2)]), store.find_alarm(uid(2))) == (set(), None)
        assert len(list(store.journal())) == 2
        assert store.rejected() == []
        assert store.load().twins["bell-peng"].rev == 3

    def test_a_household_has_one_open_alarm_of_a_kind(self, store: ReadableStore) -> None:
        store.commit(raising(an_alarm(1)))
        with pytest.raises(StoreError) as caught:
            store.commit(Batch(alarms={uid(2): an_alarm(2)}))
        assert not caught.value.retryable
        checkin = replace(an_alarm(3), kind=AlarmKind.CHECKIN)
        store.commit(Batch(alarms={checkin.id: checkin}))
        assert set(store.load().alarms) == {uid(1), uid(3)}

    def test_two_new_alarms_of_one_household_in_one_batch_are_refused(self, store: ReadableStore) -> None:
        with pytest.raises(StoreError):
            store.commit(Batch(alarms={uid(n): an_alarm(n) for n in (1, 2)}))
        assert store.alarms(open_only=False) == []

    @pytest.mark.parametrize("order", [(1, 2), (2, 1)])
    def test_one_alarm_closes_and_the_next_opens_in_one_batch(
        self, store: ReadableStore, order: tuple[int, int]
    ) -> None:
        store.commit(raising(an_alarm(1)))
        states = {1: closed(an_alarm(1)), 2: an_alarm(2)}
        store.commit(Batch(alarms={uid(n): states[n] for n in order}))
        assert set(store.load().alarms) == {uid(2)}
        store.commit(Batch(alarms={uid(2): closed(an_alarm(2))}))
        store.commit(Batch(alarms={uid(3): an_alarm(3)}))
        assert set(store.load().alarms) == {uid(3)}

    def test_early_answers_wait_until_their_verdict_changes(self, store: ReadableStore, reopen: Reopen) -> None:
        rows = [
            replace(event_of(n, alarm=uid(9), verdict="early"), type="accept", received_at=after_s(10 - n))
            for n in (1, 2, 3)
        ]
        store.commit(Batch(events=rows))
        assert reopen().early() == rows[::-1]
        for n, at_s in ((5, 2), (6, 1)):  # heard in one turn, and made one after the other
            row = event_of(n, alarm=uid(9), verdict="early", at=after_s(at_s))
            store.commit(Batch(events=[replace(row, received_at=after_s(20))]))
        assert [row.id for row in reopen().early()] == [uid(3), uid(2), uid(1), uid(6), uid(5)]
        store.commit(Batch(verdicts={uid(n): ("never_raised", uid(9)) for n in (5, 6)}))
        store.commit(Batch(events=[event_of(7)], verdicts={uid(2): ("applied", uid(1))}, alarms={uid(1): an_alarm(1)}))
        assert list(reopen().load().early) == [rows[2], rows[0]]
        assert store.find_alarm(uid(2)) == an_alarm(1), "an answer to a later press is one to the alarm it belongs to"

    def test_an_early_answers_time_is_moved(self, store: ReadableStore, reopen: Reopen) -> None:
        rows = [replace(event_of(n, alarm=uid(9), verdict="early"), type="accept") for n in (1, 2)]
        store.commit(Batch(events=rows))
        store.commit(Batch(moved={uid(1): after_s(-3600)}))
        assert reopen().early() == [replace(rows[0], at=after_s(-3600)), rows[1]]

    def test_a_twin_is_replaced_whole(self, store: ReadableStore, reopen: Reopen) -> None:
        store.commit(Batch(twins={"b": TwinRow("b", 1, (uid(1),), b"{}")}))
        newer = TwinRow("b", 2, (), b'{"rings":[]}')
        store.commit(Batch(twins={"b": newer}))
        assert reopen().load().twins == {"b": newer}

    def test_notices_are_pending_until_told(self, store: ReadableStore, reopen: Reopen) -> None:
        body = {"text": "【爱心门铃】柳奶奶", "presses": 1, "late": None}
        first = NoticeRow("a/1", "xihu", uid(1), "board", body, T0, next_at=T0)
        second = replace(first, id="a/2", created_at=after_s(1), next_at=None)
        store.commit(Batch(notices={n.id: n for n in (second, first)}))
        assert list(reopen().load().notices.values()) == [first, second]
        told = replace(first, state="sent", attempts=2, next_at=None)
        again = replace(second, attempts=1, next_at=after_s(2), detail="HTTP 503")
        store.commit(Batch(notices={n.id: n for n in (told, again)}))
        assert reopen().load().notices == {"a/2": again}
        assert store.notices() == [told, again]
        assert store.notices(alarm=uid(2)) == []

    def test_the_newest_rejected_messages_are_kept(self, store: ReadableStore) -> None:
        rows = [
            RejectedRow(after_s(n), f"x/{n}", b"\xff\x00" * 5_000 if n == 0 else b"", "not_json", "at 0")
            for n in range(MAX_REJECTED + 5)
        ]
        store.commit(Batch(rejected=rows[:1]))
        assert store.rejected() == [replace(rows[0], payload=rows[0].payload[:MAX_REJECTED_BYTES])]
        store.commit(Batch(rejected=rows[1:]))
        assert store.rejected(limit=2) == [rows[-1], rows[-2]]
        assert len(store.rejected(limit=20_000)) == MAX_REJECTED

    def test_a_stranger_cannot_send_what_does_not_fit(self, store: ReadableStore) -> None:
        store.commit(Batch(rejected=[RejectedRow(T0, "x/\ud800\x00", b"", "bad_topic", "\udcff")]))
        assert len(store.rejected()) == 1

    def test_commands_wait_until_they_are_done(self, store: ReadableStore, reopen: Reopen) -> None:
        first = store.add_command(uid(1), Outcome.HOSPITAL, "120 来了", "office")
        second = store.add_command(uid(2), Outcome.FALSE_ALARM, "", "office")
        assert reopen().poll() == (
            0,
            [
                Command(first, uid(1), Outcome.HOSPITAL, "office"),
                Command(second, uid(2), Outcome.FALSE_ALARM, "office"),
            ],
        )
        assert store.note_of(uid(1)) == ""
        store.commit(Batch(commands_done={first: "applied"}))
        assert (store.note_of(uid(1)), store.note_of(uid(2))) == ("120 来了", "")
        assert [command.id for command in reopen().poll()[1]] == [second]
        assert (store.command_result(first), store.command_result(second)) == ("applied", None)

    def test_a_renewal_is_asked_answered_and_told(self, store: ReadableStore, reopen: Reopen) -> None:
        asked = RenewalRow("bell-peng", "xihu", "please", T0)
        later = RenewalRow("bell-wu", "other", "me too", after_s(1))
        store.commit(Batch(renewals={"bell-wu": later, "bell-peng": asked}))
        assert reopen().renewals() == [asked, later]
        assert reopen().renewals(devices=["bell-wu", "bell-nobody"]) == [later]
        assert not store.answer_renewal(replace(asked, request="another"), Renewal.SIGNED, "chain", T0)
        assert store.answer_renewal(asked, Renewal.SIGNED, "chain", after_s(2))
        assert not store.answer_renewal(asked, Renewal.REFUSED, "", after_s(3)), "it waits no more"
        signed = replace(asked, state=Renewal.SIGNED, answer="chain", answered_at=after_s(2))
        assert reopen().renewals(state=Renewal.SIGNED) == [signed]
        assert reopen().load().renewals == []
        told = replace(signed, community="moved", state=Renewal.TOLD)
        store.commit(Batch(renewals={"bell-peng": told}))
        assert reopen().load().renewals == reopen().load({"moved"}).renewals == [told]
        assert reopen().load({"xihu"}).renewals == []

    def test_a_register_comes_back_the_same_and_its_version_rises(self, store: ReadableStore, reopen: Reopen) -> None:
        register = a_register()
        assert store.replace_register(register) == 1
        assert reopen().load_register() == (1, register)
        smaller = replace(register, devices={}, groups={}, hooks={})
        assert store.replace_register(smaller) == 2
        again = reopen()
        assert again.load_register() == (2, smaller)
        assert (again.poll()[0], again.load().register, again.load(()).register) == (2, smaller, smaller)
        assert again.load({"xihu"}).register == Register(), "who takes a community over has it, and it is long"

    @pytest.mark.parametrize("name", list(registers()))
    def test_any_register_can_follow_any_other(self, store: ReadableStore, name: str) -> None:
        """What does not differ is not written anew, so every way from one to another has to end at the same."""
        for version, other in enumerate(registers().values()):
            assert store.replace_register(other) == 2 * version + 1
            assert store.load_register() == (2 * version + 1, other)
            assert store.replace_register(registers()[name]) == 2 * version + 2
            assert store.load_register() == (2 * version + 2, registers()[name])

    def test_a_register_is_in_the_order_of_its_ids(self, store: ReadableStore) -> None:
        store.replace_register(a_register())
        found = store.load_register()[1]
        for items in (found.communities, found.households, found.people, found.devices, found.hooks):
            assert list(items) == sorted(items)

    def test_history_outlives_the_register(self, store: ReadableStore) -> None:
        store.replace_register(a_register())
        store.commit(raising(an_alarm()))
        store.replace_register(Register())
        assert store.load().alarms == {uid(1): an_alarm()}

    def test_alarms_are_listed_newest_first(self, store: ReadableStore) -> None:
        listed = [an_alarm(n, household=f"home-{n}", at=after_s(n)) for n in range(1, 6)]
        for alarm in listed:
            store.commit(raising(alarm))
        store.commit(changing(closed(listed[4]), NoteType.CLOSED))
        assert store.alarms(open_only=True, limit=10) == listed[3::-1]
        assert store.alarms(open_only=False, limit=2) == [closed(listed[4]), listed[3]]

    def test_the_journal_is_read_by_alarm_time_community_and_place(self, store: ReadableStore) -> None:
        first, second = an_alarm(1), replace(an_alarm(2, at=after_s(60)), household="home-chen", community="aixi")
        store.commit(raising(first))
        store.commit(raising(second))
        store.commit(
            Batch(journal=[JournalRow(after_s(90), "aixi", "device_offline", device="bell-wu", data={"a": [1]})])
        )

        lines = list(store.journal())
        assert [line.seq for line in lines] == sorted({line.seq for line in lines})
        assert lines[0] == JournalLine(
            lines[0].seq, T0, "xihu", "raised", "home-liu", first.id, "panel-liu", first.id, {"step": 1}
        )
        assert lines[4] == JournalLine(
            lines[4].seq, after_s(90), "aixi", "device_offline", device="bell-wu", data={"a": [1]}
        )
        assert list(store.journal(alarm=first.id)) == lines[:2]
        assert list(store.journal(community="aixi")) == lines[2:]
        assert list(store.journal(since=after_s(60))) == lines[2:]
        assert list(store.journal(until=after_s(60))) == lines[:2]
        assert list(store.journal(after_seq=lines[2].seq)) == lines[3:]
        assert list(store.journal(limit=3)) == lines[:3]
        assert list(store.journal(community="aixi", after_seq=lines[2].seq, limit=1)) == [lines[3]]
        assert list(store.journal(limit=0)) == []
        assert list(store.journal(types=["raised", "device_offline"])) == [lines[0], lines[2], lines[4]]
        assert list(store.journal(types=["raised"], after_seq=lines[0].seq)) == [lines[2]]

    def test_a_long_journal_is_read_whole(self, store: ReadableStore) -> None:
        rows = [JournalRow(after_s(n), "xihu", "test", data={"n": n}) for n in range(2_500)]
        store.commit(Batch(journal=rows))
        assert [line.data["n"] for line in store.journal()] == list(range(2_500))
        assert [line.data["n"] for line in store.journal(limit=1_500)] == list(range(1_500))

    def test_the_journal_alone_tells_every_alarm(self, store: ReadableStore, reopen: Reopen) -> None:
        other = replace(DEFAULT_POLICIES[AlarmKind.HELP], id="other", arrive_wait_s=60)
        first, second = an_alarm(1), replace(an_alarm(2, household="home-chen"), policy=other)
        store.commit(raising(first))
        store.commit(raising(second))
        store.commit(changing(accepted(first), NoteType.ACCEPTED))
        store.commit(changing(closed(second), NoteType.CLOSED))
        again = reopen()
        assert again.rebuild_alarms() == {first.id: accepted(first), second.id: closed(second)}
        assert again.rebuild_alarms() == {alarm.id: alarm for alarm in again.alarms(open_only=False)}

    def test_a_device_can_say_any_character(self, store: ReadableStore) -> None:
        store.commit(Batch(journal=[JournalRow(T0, "xihu", "fault", data={"detail": {"x": "\u0000"}})]))
        assert next(store.journal()).data == {"detail": {"x": "\u0000"}}
