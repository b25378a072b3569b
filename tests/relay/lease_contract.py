"""What every store of the leases must do. ``LeaseContract`` is run for each of them by tests/relay/adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import pytest

from relay.core.lease import Claim, Lease, LeaseTable, Member
from relay.ports import Batch, JournalRow, LeaseLostError, LeaseStore
from tests.relay.rows import T0
from tests.relay.store_contract import ReadableStore

A, B = Member("a", "run-a", ready=True), Member("b", "run-b")


class LeasedStore(ReadableStore, Protocol):
    """A store with leases beside it."""


@dataclass(frozen=True, slots=True)
class Shared:
    """One database as several relays have it open, each by connections of its own."""

    open: Callable[[], tuple[LeasedStore, LeaseStore]]


def about(community: str, **fences: int) -> Batch:
    """A write about a community, under these numbers."""
    return Batch(journal=[JournalRow(T0, community, "test")], fences=fences)


class LeaseContract:
    """Subclasses give the fixture ``shared``."""

    def test_a_relay_that_beats_sees_everybody(self, shared: Shared) -> None:
        (_, a), (_, b) = shared.open(), shared.open()
        a.join(A)
        b.join(B)
        assert b.beat(B) == LeaseTable({"a": A, "b": replace(B, beat=1)})
        assert a.beat(replace(A, ready=False, leaving=True)).members == {
            "a": replace(A, beat=1, ready=False, leaving=True),
            "b": replace(B, beat=1),
        }

    def test_a_run_takes_the_place_of_an_earlier_one_which_sees_it(self, shared: Shared) -> None:
        (_, old), (_, new) = shared.open(), shared.open()
        again = replace(A, run="run-a-again")
        old.join(A)
        old.take(A, [Claim("east", 0)])
        new.join(again)
        assert old.beat(A).members == {"a": again}
        assert new.take(again, [Claim("east", 1)]) == {"east": 2}

    def test_a_community_is_taken_once_and_its_number_rises_each_time(self, shared: Shared) -> None:
        (_, a), (_, b) = shared.open(), shared.open()
        a.join(A)
        b.join(B)
        claim = Claim("east", 0)
        assert a.take(A, [claim, Claim("west", 0)]) == {"east": 1, "west": 1}
        assert b.take(B, [claim]) == {}
        assert b.take(B, [Claim("east", 1)]) == {}, "its holder is there"
        a.give(A, {"east": 1})
        assert b.take(B, [Claim("east", 1), Claim("west", 1)]) == {"east": 2}
        leases = b.beat(B).leases
        assert leases == {"east": Lease("east", 2, "run-b"), "west": Lease("west", 1, "run-a")}

    def test_only_the_holder_gives_and_only_under_its_number(self, shared: Shared) -> None:
        (_, a), (_, b) = shared.open(), shared.open()
        a.join(A)
        b.join(B)
        a.take(A, [Claim("east", 0)])
        b.give(B, {"east": 1})
        a.give(A, {"east": 2})
        assert a.beat(A).held_by("run-a") == {"east": 1}

    def test_one_that_has_beaten_since_is_not_buried(self, shared: Shared) -> None:
        (_, a), (_, b) = shared.open(), shared.open()
        a.join(A)
        b.join(B)
        a.take(A, [Claim("east", 0)])
        seen = b.beat(B).members["a"]
        a.beat(A)
        b.bury([seen])
        assert b.take(B, [Claim("east", 1)]) == {}
        b.bury([b.beat(B).members["a"]])
        assert b.take(B, [Claim("east", 1)]) == {"east": 2}
        assert a.beat(A).members.keys() == {"b"}, "the buried one beats in vain, and sees it"

    def test_one_that_leaves_leaves_nothing_behind(self, shared: Shared) -> None:
        (_, a), (_, b) = shared.open(), shared.open()
        a.join(A)
        b.join(B)
        a.take(A, [Claim("east", 0), Claim("west", 0)])
        a.leave(A)
        assert b.beat(B).members.keys() == {"b"}
        assert b.take(B, [Claim("east", 1), Claim("west", 1)]) == {"east": 2, "west": 2}

    def test_many_communities_at_once(self, shared: Shared) -> None:
        (store, a), _ = shared.open(), shared.open()
        a.join(A)
        town = [f"c{number:04d}" for number in range(1_000)]
        held = a.take(A, [Claim(community, 0) for community in town])
        assert held == dict.fromkeys(town, 1)
        store.commit(replace_fences(about("c0000"), held))
        with pytest.raises(LeaseLostError) as refused:
            store.commit(replace_fences(about("c0000"), {**held, "c0500": 2, "c0999": 0}))
        assert refused.value.communities == {"c0500", "c0999"}
        a.give(A, held)
        assert a.beat(A).held_by("run-a") == {}

    def test_a_write_under_an_old_number_is_refused_whole(self, shared: Shared) -> None:
        (first, a), (second, b) = shared.open(), shared.open()
        a.join(A)
        b.join(B)
        a.take(A, [Claim("east", 0), Claim("west", 0)])
        first.commit(about("east", east=1, west=1))
        a.give(A, {"east": 1})
        b.take(B, [Claim("east", 1)])
        with pytest.raises(LeaseLostError) as refused:
            first.commit(about("west", east=1, west=1))
        assert refused.value.communities == {"east"}
        assert not refused.value.retryable
        second.commit(about("east", east=2))
        first.commit(about("west", west=1))
        assert [line.community for line in second.journal()] == ["east", "east", "west"]

    def test_a_write_about_a_community_that_was_never_leased_is_refused(self, shared: Shared) -> None:
        store, _ = shared.open()
        with pytest.raises(LeaseLostError):
            store.commit(about("east", east=1))
        assert list(store.journal()) == []

    def test_a_write_without_numbers_is_one_of_a_relay_that_owns_the_database(self, shared: Shared) -> None:
        store, a = shared.open()
        a.join(A)
        a.take(A, [Claim("east", 0)])
        store.commit(about("east"))
        assert len(list(store.journal())) == 1


def replace_fences(batch: Batch, fences: dict[str, int]) -> Batch:
    """The same batch under other numbers."""
    return Batch(journal=batch.journal, fences=fences)
