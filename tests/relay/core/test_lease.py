"""Who should hold what: pure decisions of one relay about what it sees."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from relay.core.lease import (
    Claim,
    Lease,
    LeasePlan,
    LeaseTable,
    LeaseTimes,
    LeaseView,
    Member,
    observe_leases,
    plan_leases,
    sure_until_ms,
)

TIMES = LeaseTimes()
TOWN = ("east", "north", "south", "west")
A, B, C = (Member(name, f"run-{name}", ready=True) for name in "abc")


def table(members: Sequence[Member], **held: Member | None) -> LeaseTable:
    leases = (Lease(name, 7, None if by is None else by.run) for name, by in held.items())
    return LeaseTable({m.name: m for m in members}, {lease.community: lease for lease in leases})


def look(seen: LeaseTable, at_ms: int, view: LeaseView | None = None, communities: Collection[str] = TOWN) -> LeaseView:
    return observe_leases(view or LeaseView(), seen, communities, asked_ms=at_ms, heard_ms=at_ms, times=TIMES)


def plan(me: Member, seen: LeaseTable, view: LeaseView | None = None, at_ms: int = 0) -> LeasePlan:
    return plan_leases(me, view or look(seen, at_ms), seen, TOWN, at_ms, TIMES)


def claims(*communities: str, fence: int = 7) -> tuple[Claim, ...]:
    return tuple(Claim(community, fence) for community in communities)


def test_a_lone_relay_takes_everything_at_once_whether_it_hears_anybody_or_not() -> None:
    for me in (A, replace(A, ready=False)):
        assert plan(me, table([me])) == LeasePlan(take=claims(*TOWN, fence=0))


def test_two_relays_that_start_together_take_half_each_and_not_the_same() -> None:
    seen = table([A, B])
    assert plan(A, seen).take == claims("east", "north", fence=0)
    assert plan(B, seen).take == claims("south", "west", fence=0)


def test_a_relay_that_comes_is_given_its_share_and_takes_what_is_given() -> None:
    seen = table([A, B], east=A, north=A, south=A, west=A)
    assert plan(A, seen) == LeasePlan(give=("south", "west"))
    assert plan(B, seen) == LeasePlan()
    given = table([A, B], east=A, north=A, south=None, west=None)
    assert plan(A, given) == LeasePlan()
    assert plan(B, given) == LeasePlan(take=claims("south", "west"))


def test_what_is_registered_no_more_is_given_beside_the_surplus() -> None:
    seen = table([A, B], east=A, north=A, south=A, west=A, gone=A)
    assert plan(A, seen) == LeasePlan(give=("south", "west", "gone"))


def test_what_is_registered_no_more_counts_in_no_share() -> None:
    """Whoever still holds it takes as much of the rest as everybody."""
    seen = table([A, B], east=B, north=B, south=None, west=None, gone=A)
    assert plan(A, seen) == LeasePlan(take=claims("south", "west"), give=("gone",))


def test_one_that_leaves_buries_the_dead_too() -> None:
    leaving = replace(A, leaving=True)
    seen = table([leaving, B], east=A)
    view = look(replace(seen, members={"a": replace(leaving, beat=1), "b": B}), TIMES.expire_ms, look(seen, 0))
    assert plan(leaving, seen, view, TIMES.expire_ms) == LeasePlan(give=("east",), bury=(B,))


def test_a_relay_that_has_said_nothing_yet_neither_hears_anybody_nor_leaves() -> None:
    fresh = Member("a", "run-a")
    assert (fresh.ready, fresh.leaving) == (False, False)
    seen = table([fresh, B], east=A, north=A)
    assert plan(fresh, seen).give == ("east", "north"), "to the one that hears the devices"


def test_the_usual_times_move_a_dead_relays_communities_within_ten_seconds() -> None:
    """Its silence, the beat at which another sees it, and two more for what a second dead one should have taken."""
    assert TIMES.expire_ms + (1 + 2) * TIMES.beat_ms < 10_000


def test_what_cannot_be_divided_stays_where_it_is() -> None:
    seen = table([A, B], east=B, north=B, south=B, west=A)
    assert plan(B, seen).give == ("south",)
    three = ("east", "north", "south")
    odd = table([A, B], east=B, north=B, south=A)
    for me in (A, B):
        assert plan_leases(me, look(odd, 0, communities=three), odd, three, 0, TIMES) == LeasePlan()


def test_one_that_does_not_hear_the_devices_gives_all_to_one_that_does() -> None:
    deaf = replace(A, ready=False)
    seen = table([deaf, B], east=A, north=A, south=B, west=B)
    assert plan(deaf, seen).give == ("east", "north")
    assert plan(B, seen) == LeasePlan()


def test_what_somebody_has_does_not_move_among_those_that_hear_nobody_yet() -> None:
    deaf = [replace(member, ready=False) for member in (A, B)]
    seen = table(deaf, east=A, north=A, south=A, west=A)
    assert plan(deaf[0], seen) == LeasePlan()


def test_with_the_broker_gone_for_all_everybody_serves_on() -> None:
    deaf = [replace(member, ready=False) for member in (A, B)]
    seen = table(deaf, east=A, north=A, south=B, west=B)
    for me in deaf:
        assert plan(me, seen) == LeasePlan()


def test_one_that_leaves_gives_all_even_if_nobody_is_there_to_take_it() -> None:
    leaving = replace(A, leaving=True)
    seen = table([leaving], east=A, north=A)
    assert plan(leaving, seen) == LeasePlan(give=("east", "north"))


def test_a_beat_that_stands_still_for_the_time_is_a_dead_relays() -> None:
    """Its row is buried, and its communities are free, by the watcher's own clock."""
    seen = table([A, B], east=A, north=A, south=B, west=B)
    first = look(seen, 10_000)
    beaten = replace(seen, members={"a": replace(A, beat=1), "b": B})
    for at_ms in (11_000, 10_000 + TIMES.expire_ms - 1):
        view = look(beaten, at_ms, first)
        assert plan(A, beaten, view, at_ms) == LeasePlan()
    at_ms = 10_000 + TIMES.expire_ms
    view = look(beaten, at_ms, first)
    assert plan(A, beaten, view, at_ms) == LeasePlan(take=claims("south", "west"), bury=(B,))


def test_a_relay_that_was_paused_itself_takes_nobody_for_dead() -> None:
    """Between asking and hearing a minute may have passed for it alone: only what it then sees stand still counts."""
    seen = table([A, B], east=A, north=A, south=B, west=B)
    before = look(seen, 0)
    moved = replace(seen, members={"a": replace(A, beat=1), "b": replace(B, beat=9)})
    assert plan(A, moved, look(moved, 60_000, before), 60_000) == LeasePlan()
    paused = observe_leases(before, seen, TOWN, asked_ms=900, heard_ms=60_900, times=TIMES)
    assert plan_leases(A, paused, seen, TOWN, 900, TIMES) == LeasePlan()


def test_another_run_of_a_name_has_none_of_the_old_ones_leases() -> None:
    again = replace(B, run="run-b-again")
    seen = table([A, again], east=A, north=A, south=B, west=B)
    assert plan(again, seen).take == claims("south", "west")


def test_what_nobody_takes_for_two_beats_is_taken_by_whoever_sees_it() -> None:
    """A relay may be counted on that has just died: serving comes before sharing."""
    seen = table([A, B], east=A, north=A, south=None, west=B)
    view = look(seen, 50_000)
    over_ms = 50_000 + 2 * TIMES.beat_ms
    assert plan(A, seen, look(seen, over_ms - 1, view), over_ms - 1) == LeasePlan()
    assert plan(A, seen, look(seen, over_ms, view), over_ms) == LeasePlan(take=claims("south"))


def test_a_community_that_is_registered_no_more_is_let_go_and_never_taken() -> None:
    seen = table([A], east=A, north=A, south=A, west=A, gone=A, lost=None)
    assert plan(A, seen) == LeasePlan(give=("gone",))


@pytest.mark.parametrize("relays", range(1, 8))
@pytest.mark.parametrize("communities", [1, 2, 7, 40])
def test_shares_differ_by_one_at_the_most_and_nothing_moves_twice(relays: int, communities: int) -> None:
    """From everything with the first relay to equal shares; what was not surplus stays."""
    town = [f"c{number:02d}" for number in range(communities)]
    members = [Member(f"r{number}", f"run-{number}", ready=True) for number in range(relays)]
    seen = table(members, **dict.fromkeys(town, members[0]))
    moves = 0
    for beat in range(6):
        at_ms = beat * TIMES.beat_ms
        for me in members:
            done = plan_leases(me, look(seen, at_ms, communities=town), seen, town, at_ms, TIMES)
            leases = dict(seen.leases)
            leases.update((c, replace(leases[c], holder=None)) for c in done.give)
            leases.update((claim.community, Lease(claim.community, claim.fence + 1, me.run)) for claim in done.take)
            seen = replace(seen, leases=leases)
            moves += len(done.take)
    counts = [len(seen.held_by(member.run)) for member in members]
    assert sum(counts) == communities
    assert max(counts) - min(counts) <= 1
    assert moves == communities - counts[0]


def test_a_relay_stops_speaking_before_anybody_can_hold_it_for_dead() -> None:
    """Whoever sees its last beat the moment it was sent waits longer than it speaks, by the margin."""
    seen = look(table([A, B]), 5_000)
    last_ms = sure_until_ms(5_000, TIMES)
    assert B in seen.alive(last_ms + TIMES.margin_ms - 1, TIMES)
    assert B not in seen.alive(last_ms + TIMES.margin_ms, TIMES)


@pytest.mark.parametrize(
    "times",
    [
        {"beat_ms": 0},
        {"beat_ms": 2_300},
        {"margin_ms": 0},
        {"margin_ms": 4_500},
        {"expire_ms": 3_000},
    ],
)
def test_times_that_cannot_work_are_refused(times: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="outlast"):
        LeaseTimes(**times)


@pytest.mark.parametrize("times", [{"beat_ms": 2_250}, {"margin_ms": 1}, {"margin_ms": 4_000}])
def test_times_that_just_work_are_taken(times: dict[str, int]) -> None:
    LeaseTimes(**times)
