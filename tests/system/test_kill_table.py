"""kill -9 of each process at each moment of the story: after the restart the press is rung or already answered, once.

Must show 3 of the first ring. One town lives through many cases, as a real one would; after a failure the next case
gets a fresh one. ``tests/system/kill_report.py`` prints the table at the end.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.system.brokers import BROKERS
from tests.system.fault import Moment
from tests.system.faults import Ended
from tests.system.processes import until
from tests.system.story import PROCESSES, Story
from tests.system.town import Town

pytestmark = [pytest.mark.slow, pytest.mark.system]

REDUCED = (Moment.BUTTON_DOWN, Moment.RECEIVED, Moment.BEFORE_DEADLINE, Moment.ANSWERED)
"""The moments at which most hangs on what is on which disk: for the second broker."""
CASES = [("embedded", process, moment) for moment in Moment for process in PROCESSES]
CASES += [("mosquitto", process, moment) for moment in REDUCED for process in PROCESSES]
STORIES = 6
"""That one town tells before a new one takes its place. A contact with more than 20 presses and no pause counts as
worn, and what it says is thinned (``ContactLimits``); a story is two presses of the bell's button, seldom three."""


class Towns:
    """At most one running town for each broker."""

    def __init__(self, make_directory: Callable[[str], Path]) -> None:
        self._make_directory = make_directory
        self._running: dict[str, tuple[Town, ExitStack]] = {}
        self._told: Counter[str] = Counter()

    def of(self, kind: str) -> Town:
        """The running one, or a new one."""
        if self._told[kind] == STORIES and kind in self._running:
            self.end(kind)
        self._told[kind] += 1
        if kind not in self._running:
            self._told[kind] = 1
            with ExitStack() as stack:
                town = stack.enter_context(Town(self._make_directory(kind), kind))
                self._running[kind] = town, stack.pop_all()
        return self._running[kind][0]

    def end(self, kind: str) -> None:
        """End the running one."""
        self._running.pop(kind)[1].close()

    def end_all(self) -> None:
        """End them all."""
        for kind in [*self._running]:
            self.end(kind)


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Towns]:
    """Towns that live through many cases."""
    towns = Towns(tmp_path_factory.mktemp)
    yield towns
    towns.end_all()


@pytest.mark.parametrize(
    ("kind", "process", "moment"), CASES, ids=lambda value: value.value if isinstance(value, Moment) else value
)
def test_a_killed_process_loses_no_press_and_moves_no_deadline(
    towns: Towns, kind: str, process: str, moment: Moment, record_property: Callable[[str, object], None]
) -> None:
    """The whole story is told to its end around the kill; ``Story`` has what must be true then."""
    town = towns.of(kind)
    try:
        told = Story(town, Ended(town, process), moment).tell()
    except BaseException as error:
        error.add_note(town.last_words())
        towns.end(kind)
        raise
    record_property("kill", {"broker": kind, "process": process, "moment": moment.value, **asdict(told)})


@pytest.mark.parametrize("away", ["relay", "broker"])
@pytest.mark.parametrize("kind", BROKERS)
def test_what_a_light_has_acknowledged_is_on_the_devices_own_disk(tmp_path: Path, kind: str, away: str) -> None:
    """With nobody to hear them, a press and an answer outlive the device on which they were given; nobody repeats them.

    The panel shows ``heard`` and dies, the bell shows ``answering`` and dies, each while relay or broker is down.
    """
    with Town(tmp_path, kind) as town:
        town.kill(away)
        town.panel.press("help")
        until(lambda: town.panel.now.stage == "heard", "the panel shows that it has heard")
        town.kill("panel")
        town.restart("panel")
        town.restart(away)
        until(lambda: town.first.now.sounding, "the first bell sounds")
        town.kill(away)
        town.first.press("answer")
        until(lambda: town.first.now.light == "answering", "the bell shows that it has heard")
        town.kill("first")
        town.restart("first")
        town.restart(away)
        town.helper_arrives(town.first)
        assert [len(town.lines_of(kind)) for kind in ("raised", "pressed_again", "accepted", "closed")] == [1, 0, 1, 1]
