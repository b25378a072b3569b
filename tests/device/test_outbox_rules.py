"""The outbox core: order, limits, schedule, receipts; and the twin's rules beside it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.effects import Forget, Ignored, Keep, OutboxRow, Send
from device.core.moment import Moment
from device.core.outbox import (
    MAX_AGE_MS,
    Connected,
    Disconnected,
    Found,
    Happened,
    OutboxInput,
    OutboxState,
    Receipts,
    RelaySpoke,
    Tick,
    advance_outbox,
    age_ms,
    new_outbox,
    outbox_deadline,
)
from device.core.twin import TwinState, apply_desired, link_changed, report_deadline, report_due
from doorbell.wire import MAX_IN_FLIGHT, ClockState, Desired, DeviceSettings, EventType
from tests.device.doubles import START


def at(now_ms: int, *, jitter: float = 0.0, boot: str = "b", synced: bool = True, entropy: int = 1) -> Moment:
    return Moment(now_ms, START + timedelta(milliseconds=now_ms), synced, boot, entropy, jitter)


def identity(n: int) -> str:
    return str(uuid.UUID(int=n, version=4))


def happened(n: int, kind: EventType = EventType.HELP, at_ms: int = 0, **detail: object) -> Happened:
    return Happened(identity(n), kind, at_ms, detail=detail or None)


def sent(effects: tuple[object, ...]) -> list[str]:
    return [one.event.id for one in effects if isinstance(one, Send)]


def filled(*kinds: EventType, connected: bool = False) -> OutboxState:
    state = OutboxState((), 1)
    for n, kind in enumerate(kinds):
        state, _ = advance_outbox(state, happened(n, kind), at(0))
    return advance_outbox(state, Connected(), at(0))[0] if connected else state


def test_help_goes_first_then_the_oldest() -> None:
    state = filled(EventType.OK, EventType.HELP, EventType.FAULT, EventType.HELP)
    _, effects = advance_outbox(state, Connected(), at(5))
    assert sent(effects) == [identity(n) for n in (1, 3, 0, 2)]


def test_at_most_max_in_flight_are_under_way_and_receipts_let_the_next_go() -> None:
    state = filled(*[EventType.OK] * (MAX_IN_FLIGHT + 5))
    state, effects = advance_outbox(state, Connected(), at(5))
    assert sent(effects) == [identity(n) for n in range(MAX_IN_FLIGHT)]
    state, effects = advance_outbox(state, Receipts((identity(0), identity(1))), at(6))
    assert effects[0] == Forget((identity(0), identity(1)))
    assert sent(effects) == [identity(MAX_IN_FLIGHT), identity(MAX_IN_FLIGHT + 1)]


def test_rows_that_are_never_receipted_hold_up_nothing_for_ever() -> None:
    """A relay that refuses sixteen rows must still hear of the accept that comes after them, and of every other row."""
    count = 2 * MAX_IN_FLIGHT
    state = filled(*[EventType.OK] * count, connected=True)
    state, effects = advance_outbox(state, happened(99, EventType.ACCEPT), at(1))
    assert sent(effects) == []
    heard: set[str] = set()
    now_ms = 1
    for _ in range(40):
        now_ms = max(now_ms, outbox_deadline(state) or now_ms)
        state, effects = advance_outbox(state, Tick(), at(now_ms))
        heard.update(sent(effects))
    assert heard >= {identity(99), *map(identity, range(MAX_IN_FLIGHT, count))}
    before = {one.row.id: one.sends for one in state.waiting}
    while now_ms < 3_600_000:
        now_ms = max(now_ms, outbox_deadline(state) or now_ms)
        state, _ = advance_outbox(state, Tick(), at(now_ms))
    assert all(one.sends >= before[one.row.id] + 5 for one in state.waiting)


def test_a_row_that_was_sent_five_times_in_vain_yields_to_the_next() -> None:
    state = filled(*[EventType.OK] * (MAX_IN_FLIGHT + 1), connected=True)
    for now_ms in (2_000, 6_000, 14_000):
        state, effects = advance_outbox(state, Tick(), at(now_ms))
        assert identity(MAX_IN_FLIGHT) not in sent(effects)
        assert advance_outbox(state, Tick(), at(now_ms))[1] == ()
    state, _ = advance_outbox(state, Tick(), at(30_000))
    assert sent(advance_outbox(state, Tick(), at(30_000))[1]) == [identity(MAX_IN_FLIGHT)]


def test_a_press_of_long_ago_goes_out_with_the_greatest_age_that_the_wire_knows() -> None:
    """A device that was in a drawer for decades, or whose clock has been there: refused, it would be lost."""
    state = new_outbox([row_of("old", ClockState.SYNCED)], 2, 0)
    moment = Moment(9, START + timedelta(days=9_999), True, "b", 1, 0)
    _, effects = advance_outbox(state, Connected(), moment)
    assert [one.event.age_ms for one in effects if isinstance(one, Send)] == [3_650 * 86_400_000]


def test_a_new_help_goes_at_once_however_much_waits() -> None:
    state = filled(*[EventType.OK] * 40, connected=True)
    _, effects = advance_outbox(state, happened(99), at(7))
    assert isinstance(effects[0], Keep)
    assert sent(effects) == [identity(99)]


@given(jitter=st.floats(-1, 1))
def test_the_schedule_is_2_4_8_16_30_30_within_20_per_cent(jitter: float) -> None:
    state = filled(EventType.HELP)
    state, _ = advance_outbox(state, Connected(), at(0, jitter=jitter))
    times = [0]
    for _ in range(7):
        deadline = outbox_deadline(state)
        assert deadline is not None
        state, effects = advance_outbox(state, Tick(), at(deadline - 1, jitter=jitter))
        assert effects == ()
        state, effects = advance_outbox(state, Tick(), at(deadline, jitter=jitter))
        assert len(sent(effects)) == 1
        times.append(deadline)
    for (a, b), wanted in zip(pairwise(times), (2, 4, 8, 16, 30, 30, 30), strict=True):
        assert b - a == round(wanted * 1000 * (1 + 0.2 * jitter))
        assert 0.8 * wanted * 1000 - 1 <= b - a <= 1.2 * wanted * 1000 + 1


def test_nothing_is_sent_while_the_link_is_down_and_everything_at_the_next_up() -> None:
    state = filled(EventType.HELP, EventType.OK, connected=True)
    state, effects = advance_outbox(state, Disconnected(), at(10))
    state, effects = advance_outbox(state, Tick(), at(10_000_000))
    assert (effects, outbox_deadline(state)) == ((), None)
    state, effects = advance_outbox(state, Connected(), at(10_000_001))
    assert sent(effects) == [identity(0), identity(1)]
    assert outbox_deadline(state) == 10_002_001


def test_a_relay_that_speaks_hears_again_at_once_what_was_sent_twice_in_vain() -> None:
    """So one that comes back hears an acceptance before it calls others; what was sent once has its receipt coming."""
    state = filled(EventType.ACCEPT, connected=True)
    state, effects = advance_outbox(state, RelaySpoke(), at(500))
    assert (sent(effects), outbox_deadline(state)) == ([], 2_000)
    state, effects = advance_outbox(state, Tick(), at(2_000))
    assert sent(effects) == [identity(0)]
    state, effects = advance_outbox(state, RelaySpoke(), at(2_500))
    assert (sent(effects), outbox_deadline(state)) == ([identity(0)], 2_500 + 8_000)


def test_at_a_connect_all_goes_again_though_it_was_sent_a_moment_ago() -> None:
    """Nobody knows whether the old connection carried it."""
    state = filled(EventType.HELP, connected=True)
    state, _ = advance_outbox(state, Disconnected(), at(100))
    state, effects = advance_outbox(state, Connected(), at(200))
    assert (sent(effects), outbox_deadline(state)) == ([identity(0)], 2_200)


def test_the_outbox_looks_again_when_the_first_row_is_due() -> None:
    state = filled(EventType.HELP, connected=True)
    state, _ = advance_outbox(state, happened(1), at(1_500))
    assert outbox_deadline(state) == 2_000


def test_what_is_found_on_a_disk_that_can_be_read_at_last_stands_beside_what_happened_meanwhile() -> None:
    """A press that was made while the disk was away goes on, is known once, and no number is given twice."""
    state, effects = advance_outbox(OutboxState((), 5, connected=True), happened(7), at(0))
    (mine,) = [one.row for one in effects if isinstance(one, Keep)]
    older = row_of("old", ClockState.SYNCED)
    for known_seq, next_seq in ((40, 40), (2, 6)):
        found, effects = advance_outbox(state, Found((older, mine), known_seq), at(10))
        assert [one.row.id for one in found.waiting] == [identity(1), identity(7)]
        assert sent(effects) == [identity(1)]
        assert found.next_seq == next_seq
    _, effects = advance_outbox(found, Tick(), at(2_010))
    assert sent(effects) == [identity(1), identity(7)], "2 s later again, as what has just happened"


def test_an_event_that_is_told_twice_is_kept_once_and_named() -> None:
    state = filled(EventType.HELP)
    assert advance_outbox(state, happened(0), at(5)) == (state, (Ignored("event_repeated", identity(0)),))


def test_an_event_that_overtakes_nothing_costs_the_disk_one_row_and_no_deletion() -> None:
    _, effects = advance_outbox(filled(EventType.HELP), happened(1), at(5))
    assert [type(one) for one in effects] == [Keep]


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize(
    "event",
    [happened(0), happened(7), Receipts(()), Receipts((identity(0), identity(5))), Found((), 0), Connected(),
     Disconnected(), Tick()],
)  # fmt: skip
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_state_by_every_event_keeps_the_rules(count: int, event: OutboxInput, *, connected: bool) -> None:
    state = filled(*[EventType.HELP] * count, connected=connected)
    after, effects = advance_outbox(state, event, at(50))
    known = [one.row.id for one in after.waiting]
    assert len(set(known)) == len(known)
    assert [one.row.seq for one in after.waiting] == sorted(one.row.seq for one in after.waiting)
    assert after.next_seq >= state.next_seq
    for one in effects:
        match one:
            case Keep(row):
                assert row.id in known
            case Forget(ids):
                assert not set(ids) & set(known)
            case Send(sent_event):
                assert sent_event.id in known
            case Ignored(reason):
                assert reason == "event_repeated"


def test_numbers_rise_and_are_not_used_again_after_receipts() -> None:
    state = filled(EventType.HELP, EventType.HELP, connected=True)
    state, _ = advance_outbox(state, Receipts((identity(0), identity(1))), at(5))
    state, effects = advance_outbox(state, happened(2), at(6))
    assert [one.row.seq for one in effects if isinstance(one, Keep)] == [3]


def test_a_fault_overtakes_the_waiting_one_about_the_same_thing_only() -> None:
    state, _ = advance_outbox(OutboxState((), 1), happened(0, EventType.FAULT, code="a", subject="x"), at(0))
    state, _ = advance_outbox(state, happened(1, EventType.FAULT, code="b", subject="x"), at(0))
    state, effects = advance_outbox(state, happened(2, EventType.FAULT, code="a", subject="x"), at(0))
    assert effects[1:] == (Forget((identity(0),)),)
    assert [one.row.id for one in state.waiting] == [identity(1), identity(2)]


def test_a_test_overtakes_the_waiting_one_of_the_same_name_only() -> None:
    state, _ = advance_outbox(OutboxState((), 1), happened(0, EventType.TEST, of="selftest"), at(0))
    state, _ = advance_outbox(state, happened(1, EventType.TEST, of="probe"), at(0))
    state, _ = advance_outbox(state, happened(2, EventType.TEST), at(0))
    state, _ = advance_outbox(state, happened(3, EventType.TEST), at(0))
    state, effects = advance_outbox(state, happened(4, EventType.TEST, of="selftest"), at(0))
    assert effects[1:] == (Forget((identity(0),)),)
    assert [one.row.id for one in state.waiting] == [identity(n) for n in (1, 2, 3, 4)]


def row_of(boot: str, clock: ClockState) -> OutboxRow:
    return OutboxRow(1, identity(1), EventType.HELP, START, clock, boot, 5_000)


@pytest.mark.parametrize(
    ("row", "moment", "age"),
    [
        (row_of("b", ClockState.UNSYNCED), at(65_000, synced=False), 60_000),
        (row_of("b", ClockState.SYNCED), at(4_000), 0),  # monotonic time never goes back, but zero is the limit
        (row_of("old", ClockState.SYNCED), at(65_000), 65_000),
        (row_of("old", ClockState.SYNCED), Moment(9_000, START + timedelta(days=1), True, "b", 1, 0), 86_400_000),
        (row_of("old", ClockState.SYNCED), Moment(9_000, START - timedelta(days=1), True, "b", 1, 0), 9_000),
        (row_of("old", ClockState.UNSYNCED), at(65_000), 65_000),
        (row_of("old", ClockState.SYNCED), Moment(9_000, START + timedelta(days=1), False, "b", 1, 0), 9_000),
        (row_of("old", ClockState.SYNCED), Moment(9, START + timedelta(days=9_999), True, "b", 1, 0), MAX_AGE_MS),
    ],
)
def test_the_age(row: OutboxRow, moment: Moment, age: int) -> None:
    assert age_ms(row, moment) == age


@pytest.mark.parametrize(
    ("wall", "said"),
    [
        (datetime(2250, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (datetime.max.replace(tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
        (datetime.min.replace(tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_press_goes_out_however_wrong_the_clock_is(wall: datetime, said: datetime) -> None:
    """An event with a year that the wire refuses raised at every turn, and again after every restart."""
    moment = Moment(60_000, wall, False, "b", 1, 0)
    state, _ = advance_outbox(OutboxState((), 1), Connected(), moment)
    state, effects = advance_outbox(state, happened(0, at_ms=1_000), moment)
    (first,) = [one.event for one in effects if isinstance(one, Send)]
    assert (first.at.year, first.age_ms) == (said.year, 59_000)
    row = replace(state.waiting[0].row, at=wall)  # as an older program has kept it
    for loaded in (new_outbox([row], 2, 0), advance_outbox(OutboxState((), 1), Found((row,), 2), moment)[0]):
        _, effects = advance_outbox(loaded, Connected(), moment)
        assert [one.event.at for one in effects if isinstance(one, Send)] == [said]


def test_an_outbox_from_disk_begins_where_the_file_ended() -> None:
    rows = [row_of("old", ClockState.SYNCED)]
    state = new_outbox(rows, 17, 100)
    _, effects = advance_outbox(state, Connected(), at(100))
    assert sent(effects) == [identity(1)]
    _, effects = advance_outbox(state, happened(2), at(100))
    assert isinstance(effects[0], Keep)
    assert effects[0].row.seq == 17


def test_ids_of_one_turn_differ_and_are_version_4() -> None:
    ids = {at(0, entropy=12345).event_id(seq) for seq in range(10_000)}
    assert len(ids) == 10_000
    assert {uuid.UUID(one).version for one in ids} == {4}


# --- the twin -------------------------------------------------------------------------------------------------------


def test_a_lower_rev_is_ignored_the_same_one_is_reported_again() -> None:
    twin, ignored = apply_desired(TwinState(60, connected=True), Desired(rev=5))
    assert (twin.rev, ignored) == (5, ())
    twin, due = report_due(twin, (), 100)
    assert due
    older, ignored = apply_desired(twin, Desired(rev=4))
    assert (older, ignored) == (twin, (Ignored("stale_rev", "4 after 5"),))
    assert report_due(twin, (), 101)[1] is False
    twin, _ = apply_desired(twin, Desired(rev=5))
    assert report_due(twin, (), 101)[1] is True


def test_reports_are_due_at_changes_at_connects_and_at_the_relays_interval() -> None:
    twin = link_changed(TwinState(60), up=True)
    twin, due = report_due(twin, (), 1_000)
    assert (due, report_deadline(twin)) == (True, 61_000)
    assert report_due(twin, ("a",), 1_001)[1] is True
    assert report_due(twin, (), 61_000)[1] is True
    twin, _ = apply_desired(twin, Desired(rev=1, settings=DeviceSettings(report_interval_s=5)))
    twin, due = report_due(twin, (), 2_000)
    assert (due, report_deadline(twin)) == (True, 7_000)
    twin = link_changed(twin, up=False)
    assert (report_due(twin, ("a",), 99_000)[1], report_deadline(twin)) == (False, None)
    twin, due = report_due(link_changed(twin, up=True), (), 99_000)
    assert due is True
    again = link_changed(link_changed(twin, up=False), up=True)
    assert report_due(again, (), 99_100)[1] is True, "whoever comes back says at once what it shows"
