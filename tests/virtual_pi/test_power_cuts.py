"""Power cuts of a panel: nothing that was kept is lost, nothing comes twice, it starts every time. CUTS=10 of them.

The whole table is made by ``python -m tests.virtual_pi.cuts``; this is its everyday part, with the same seeds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual_pi.build import Parts
from tests.virtual_pi.cuts import HEAD, cut_many, plan_cut, row
from tests.virtual_pi.outside import Outside

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.virtual_pi]

CUTS = int(os.environ.get("CUTS", "10"))
SABOTAGED = 4
"""Cuts without fsync at most; SQLite's NORMAL loses a press in two of three (docs/virtual-pi.md)."""


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    """Broker and relay for a run of cuts."""
    with Outside(tmp_path / "outside") as outside:
        yield outside


def test_no_cut_loses_or_doubles_a_press(parts: Parts, outside: Outside, say: Callable[[str], None]) -> None:
    """Each press that the panel had called kept, and each that lay on its disk, is at the relay once."""
    say(HEAD)
    plans = [plan_cut(1 + number, number=number) for number in range(CUTS)]
    outcomes = cut_many(parts, outside, plans, lambda outcome: say(row(outcome)))
    assert {one.plan.seed: one.lost for one in outcomes if one.lost} == {}
    assert {one.plan.seed: one.doubled for one in outcomes if one.doubled} == {}
    assert {one.plan.seed: one.database for one in outcomes if one.database != "ok"} == {}
    pressed = {one.plan.seed: one.plan.presses - 1 for one in outcomes}
    assert all(len(one.kept) >= pressed[one.plan.seed] for one in outcomes), "what was waited for has been seen"
    assert sum(len(one.on_disk) for one in outcomes) > 0, "no cut left anything on the disk: they prove nothing"


def test_without_fsync_a_cut_loses_a_press(parts: Parts, outside: Outside, say: Callable[[str], None]) -> None:
    """The same cuts of a panel whose outbox was told ``synchronous = NORMAL``: this is how a loss looks."""
    say(HEAD)
    for number in range(SABOTAGED):
        plan = replace(
            plan_cut(1 + number, number=1),
            away="broker",
            presses=2,
            moment_s=1.0,
            request=None,
            disk="file",
            synchronous="NORMAL",
        )
        (outcome,) = cut_many(parts, outside, [plan], lambda outcome: say(row(outcome)))
        if outcome.lost:
            return
    pytest.fail("no press was lost without fsync: the cuts cannot show a loss")
