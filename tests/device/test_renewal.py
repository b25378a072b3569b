"""The rules by which a device renews its certificate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from device.core.renewal import (
    Adopt,
    CameUp,
    KeyMade,
    Look,
    MakeKey,
    Papers,
    RenewalLimits,
    RenewalOrder,
    RenewalState,
    Say,
    Take,
    TryNext,
    Warn,
    advance_renewal,
)
from doorbell.wire import certificate_mark

DAY = timedelta(days=1)
HOUR_MS = 3_600_000
LIMITS = RenewalLimits()
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
PAPERS = Papers(SINCE, SINCE + 360 * DAY, "old")
ASKING = replace(PAPERS, request="please")
READY = replace(PAPERS, ready=True)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIICHDCC\n-----END CERTIFICATE-----\n"
MARK = certificate_mark(CERTIFICATE)


def at(day: float, now_ms: int = 0, **more: object) -> Look:
    """A look on that day of the certificate's 360, by a device that is the first of its fleet."""
    fields = {"synced": True, "connected": True, "calm": True, "told": None, "share": 0.0, **more}
    return Look(now_ms=now_ms, wall=SINCE + day * DAY, **fields)  # type: ignore[arg-type]


def look(
    papers: Papers | None, event: Look, state: RenewalState | None = None
) -> tuple[RenewalState, tuple[RenewalOrder, ...]]:
    return advance_renewal(state or RenewalState(), event, papers, event.now_ms, LIMITS)


def test_it_begins_at_two_thirds_of_the_life_and_not_all_devices_on_one_day() -> None:
    assert look(PAPERS, at(239.9))[1] == ()
    assert look(PAPERS, at(240))[1] == (MakeKey(),)
    assert look(PAPERS, at(269.9, share=0.999))[1] == ()
    assert look(PAPERS, at(270, share=0.999))[1] == (MakeKey(),)


def test_a_clock_that_was_not_set_begins_nothing() -> None:
    assert look(PAPERS, at(350, synced=False))[1] == ()
    assert look(ASKING, at(350, synced=False))[1] == ()


def test_without_a_certificate_of_ours_there_is_nothing_to_renew() -> None:
    assert look(None, at(350)) == (RenewalState(), ())


def test_a_key_is_made_once_and_after_a_failure_again_later_and_later() -> None:
    state, orders = look(PAPERS, at(250))
    assert orders == (MakeKey(),)
    assert look(PAPERS, at(250), state)[1] == ()
    waits = []
    for _ in range(7):
        now_ms = state.wait_until_ms
        state, _ = advance_renewal(state, KeyMade("no openssl"), PAPERS, now_ms, LIMITS)
        waits.append((state.wait_until_ms - now_ms) / HOUR_MS)
        assert look(PAPERS, at(250, state.wait_until_ms - 1), state)[1] == ()
        state, orders = look(PAPERS, at(250, state.wait_until_ms), state)
        assert orders == (MakeKey(),)
    assert waits == [1, 2, 4, 8, 16, 24, 24]


def test_it_asks_when_connected_and_once_a_day() -> None:
    assert look(ASKING, at(250, connected=False))[1] == ()
    state, orders = look(ASKING, at(250))
    assert orders == (Say({"request": "please"}),)
    assert look(ASKING, at(250, 24 * HOUR_MS - 1), state)[1] == ()
    assert look(ASKING, at(251, 24 * HOUR_MS), state)[1] == (Say({"request": "please"}),)


def test_what_is_told_is_tried_on_the_key_once() -> None:
    state, orders = look(ASKING, at(250, told=CERTIFICATE), RenewalState(asked_ms=0))
    assert orders == (Take(CERTIFICATE),)
    assert look(ASKING, at(250, told=CERTIFICATE), state)[1] == (), "it was for another key"
    assert look(PAPERS, at(1, told=CERTIFICATE))[1] == (), "nobody asked"
    state, _ = look(ASKING, at(251, 24 * HOUR_MS, told=CERTIFICATE), state)
    assert look(ASKING, at(251, 24 * HOUR_MS, told=CERTIFICATE), state)[1] == (Take(CERTIFICATE),), (
        "or the disk was full"
    )


def test_it_is_tried_in_a_calm_moment_and_one_attempt_at_a_time() -> None:
    assert look(READY, at(250, calm=False))[1] == ()
    assert look(READY, at(250, connected=False))[1] == ()
    state, orders = look(READY, at(250))
    assert orders == (TryNext(),)
    assert look(READY, at(250), state)[1] == ()


def test_what_was_refused_is_tried_again_after_an_hour_then_two() -> None:
    state, _ = look(READY, at(250))
    state, orders = advance_renewal(state, CameUp(with_next=False), READY, 1_000, LIMITS)
    assert (orders, state.wait_until_ms) == ((), 1_000 + HOUR_MS)
    assert look(READY, at(250, HOUR_MS), state)[1] == ()
    state, orders = look(READY, at(250, 1_000 + HOUR_MS), state)
    assert orders == (TryNext(),)
    state, _ = advance_renewal(state, CameUp(with_next=False), READY, 2 * HOUR_MS, LIMITS)
    assert state.wait_until_ms == 4 * HOUR_MS


def test_a_connection_with_it_is_the_proof() -> None:
    for trying in (True, False):
        _, orders = advance_renewal(RenewalState(trying=trying), CameUp(with_next=True), READY, 0, LIMITS)
        assert orders == (Adopt(),)
    state, orders = advance_renewal(RenewalState(), CameUp(with_next=False), READY, 0, LIMITS)
    assert (state, orders) == (RenewalState(), ()), "nobody had asked for more"


def test_a_disk_that_refuses_it_does_not_have_the_device_reconnect_for_ever() -> None:
    state, _ = advance_renewal(RenewalState(trying=True), CameUp(with_next=True), READY, 0, LIMITS)
    assert look(READY, at(250, HOUR_MS - 1), state)[1] == ()


def test_the_relay_is_told_once_that_it_was_taken() -> None:
    taken = replace(PAPERS, mark=MARK or "")
    assert look(taken, at(1, told=CERTIFICATE, connected=False))[1] == ()
    state, orders = look(taken, at(1, told=CERTIFICATE))
    assert orders == (Say({"taken": MARK}),)
    assert look(taken, at(1, told=CERTIFICATE), state)[1] == ()


def test_a_person_is_told_when_a_twelfth_of_the_life_is_left() -> None:
    state, orders = look(PAPERS, at(330.5), RenewalState(making=True))
    assert orders == (Warn(29),)
    assert look(PAPERS, at(331), state)[1] == ()
    state, orders = look(replace(PAPERS, until=SINCE + 720 * DAY), at(332), state)
    assert (orders, state.warned) == ((Warn(388, cleared=True),), False)
    assert look(PAPERS, at(400, synced=False), RenewalState(making=True))[1] == ()
