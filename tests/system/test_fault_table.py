"""The fault table: one story for each case, with one fault at one moment; nothing lost, nothing doubled, no deadline
missed.

Towns and the city live through many cases, as real ones would; after a failure the next case gets a fresh one. Those
that every change must pass are ``slow``; all of them are `make fault-table`, which keeps docs/fault-table.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.device.mounts import needs_root
from tests.system.fault_cases import CITY_CASES, CLOCKS_TOWN, TOWN_CASES, Case
from tests.system.fault_town import FaultTown
from tests.system.quarter import LivingCity
from tests.system.story import Story

pytestmark = [pytest.mark.slow, pytest.mark.system, needs_root]

UNTIL = "FAULT_TABLE_UNTIL"
"""In the environment: cases that begin after this time (seconds since 1970) wait for the next run."""
STORIES = 6
"""That one set of buttons tells. A contact with more than 20 presses and no pause counts as worn, and what it says is
thinned (``ContactLimits``); a story is two presses of the bell's button, seldom three."""
Scene = AbstractContextManager[Any]


class Standing:
    """At most one scene of a kind at a time; ``of`` makes it when it is not there."""

    def __init__(self, make_folder: Callable[[str], Path]) -> None:
        self._make_folder = make_folder
        self._running: tuple[str, Any, ExitStack] | None = None
        self._told = 0

    def of(self, place: str) -> Any:
        """The scene of this place."""
        if self._running is not None and self._running[0] != place:
            self.end()
        if self._running is None:
            with ExitStack() as stack:
                made = stack.enter_context(_scene(place, self._make_folder(place)))
                self._running = place, made, stack.pop_all()
                self._told = 0
        scene = self._running[1]
        if self._told == STORIES:
            for device in scene.devices:
                device.stop()
                device.start()
            scene.await_rest()
            self._told = 0
        self._told += 1
        return scene

    def end(self) -> None:
        """End it, if it is there."""
        running, self._running = self._running, None
        if running is not None:
            running[2].close()


def _scene(place: str, folder: Path) -> Scene:
    return LivingCity(folder) if place.startswith("city") else FaultTown(folder, with_clocks=place == CLOCKS_TOWN)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Scenes that live through many cases."""
    standing = Standing(tmp_path_factory.mktemp)
    yield standing
    standing.end()


def _param(case: Case[Any]) -> Any:
    # The scene comes first: by it all of its cases are on one worker (tests/scheduling.py).
    return pytest.param(case, id=f"{case.scene}:{case.name}", marks=() if case.daily else (pytest.mark.fault_table,))


@pytest.mark.parametrize("case", [*map(_param, CITY_CASES), *map(_param, TOWN_CASES)])
def test_the_alarm_is_raised_once_and_taken_once_and_no_deadline_moves(
    standing: Standing, case: Case[Any], record_property: Callable[[str, object], None]
) -> None:
    """``Story`` has what must be true then."""
    if time.time() > float(os.environ.get(UNTIL, "inf")):
        pytest.skip("no time is left in this run")
    scene = standing.of(case.scene)
    began = time.monotonic()
    try:
        told = Story(scene, case.make(scene), case.moment).tell()
    except BaseException as error:
        error.add_note(scene.last_words())
        standing.end()
        raise
    seconds = time.monotonic() - began
    row = {"setup": case.setup, "fault": case.fault, "moment": case.moment.value, "seconds": seconds, **asdict(told)}
    record_property("fault", row)
