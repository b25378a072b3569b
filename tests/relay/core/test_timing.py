"""When did it happen: synced, unsynced and lying clocks; and whether a device is there."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.wire import ClockState, Event, EventType, Presence, Reported
from relay.core.presence import NEVER_SEEN, Seen, note_presence, note_report, note_time
from relay.core.timing import FRESH, happened_at
from tests.relay.doubles import T0, uid

SECOND = timedelta(seconds=1)


def event(at: datetime, age_ms: int, clock: ClockState) -> Event:
    return Event(id=uid(1), type=EventType.HELP, at=at, age_ms=age_ms, clock=clock)


@pytest.mark.parametrize(
    ("clock", "off_s", "age_s", "happened_s"),
    [
        (ClockState.SYNCED, -3, 0, -3),
        (ClockState.SYNCED, -3600, 3600, -3600),
        (ClockState.SYNCED, -86_400, 0, -86_400),
        (ClockState.SYNCED, -86_401, 0, 0),
        (ClockState.SYNCED, 5, 0, 0),
        (ClockState.SYNCED, 86_401, 7, -7),
        (ClockState.SYNCED, 60, 120, 0),
        (ClockState.UNSYNCED, -3, 0, 0),
        (ClockState.UNSYNCED, -3, 50, -50),
        (ClockState.UNSYNCED, 99_999, 86_400, -86_400),
    ],
    ids=[
        "synced: at, though it was long on its way",
        "synced and offline for an hour",
        "a day off is the last that is believed",
        "more than a day off: the age",
        "from the future: now",
        "far in the future: the age",
        "in the future by its age too: now",
        "unsynced: arrival minus age",
        "unsynced and old",
        "unsynced and absurd",
    ],
)
def test_when_it_happened(clock: ClockState, off_s: int, age_s: int, happened_s: int) -> None:
    said = event(T0 + off_s * SECOND, age_s * 1000, clock)
    assert happened_at(said, T0) == T0 + happened_s * SECOND


@pytest.mark.parametrize(("off_s", "happened_s"), [(-9, -9), (-15, 0)])
def test_on_a_connection_that_lives_two_clocks_that_differ_by_more_than_ten_seconds_are_not_compared(
    off_s: int, happened_s: int
) -> None:
    """One was set by hand: every answer would look old for ever, and no acceptance would comfort anybody."""
    said = event(T0 + off_s * SECOND, 0, ClockState.SYNCED)
    assert happened_at(said, T0, FRESH) == T0 + happened_s * SECOND


def test_a_relay_without_a_clock_hears_an_old_press_within_the_calendar_of_the_wire() -> None:
    """It was from 1969: every bell refused the desired state that held it, and none rang."""
    woken = datetime(1970, 1, 1, 0, 0, 30, tzinfo=UTC)
    assert happened_at(event(woken, 300_000, ClockState.UNSYNCED), woken) == datetime(1970, 1, 1, tzinfo=UTC)


@given(
    at=st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    age_ms=st.integers(0, 10 * 365 * 86_400_000),
    clock=st.sampled_from(ClockState),
)
def test_nothing_happened_after_it_was_heard_or_ten_years_before(at: datetime, age_ms: int, clock: ClockState) -> None:
    happened = happened_at(event(at, age_ms, clock), T0)
    assert T0 - timedelta(days=3651) <= happened <= T0
    assert happened.tzinfo is not None


# ---------------------------------------------------------------------------------------------------------------------
# Presence


def report(**more: object) -> Reported:
    return Reported.model_validate({"rev": 3, "firmware": "f", "clock": "synced", "next_in_s": 60, **more})


def test_a_device_is_there_for_two_and_a_half_intervals_after_a_report() -> None:
    seen = note_report(report(ringing=[uid(2), uid(1)]), 1_000)
    assert seen == Seen(online=True, silent_at_ms=151_000, rev=3, ringing=(uid(1), uid(2)), interval_s=60)
    assert note_time(seen, 150_999) is seen
    gone = note_time(seen, 151_000)
    assert (gone.online, gone.ringing, gone.rev) == (False, (), 3)
    assert note_time(gone, 999_999) is gone


def test_a_device_of_which_nothing_was_ever_heard_is_not_there_and_has_not_gone_either() -> None:
    assert (NEVER_SEEN.online, NEVER_SEEN.willed, NEVER_SEEN.ringing) == (False, False, ())


def test_a_will_ends_it_at_once_and_nothing_of_it_sounds() -> None:
    seen = note_presence(note_report(report(ringing=[uid(1)]), 0), Presence.OFFLINE, 5)
    assert (seen.online, seen.ringing) == (False, ())


def test_a_birth_counts_by_the_interval_that_the_device_promised_last() -> None:
    seen = note_report(report(next_in_s=10), 0)
    assert note_presence(seen, Presence.ONLINE, 1_000).silent_at_ms == 26_000
    assert note_presence(NEVER_SEEN, Presence.ONLINE, 0).silent_at_ms == 150_000


def test_a_birth_after_a_will_makes_it_be_there_again() -> None:
    gone = note_presence(note_report(report(), 0), Presence.OFFLINE, 5)
    born = note_presence(gone, Presence.ONLINE, 10)
    assert (gone.online, gone.willed, born.online, born.willed) == (False, True, True, False)


def test_a_report_is_a_sign_of_life_also_after_a_will() -> None:
    seen = note_presence(note_report(report(), 0), Presence.OFFLINE, 5)
    assert not seen.online
    assert note_report(report(), 10).online
