"""Four kinds of real processes and a press: bells ring, lights go through their stages, the journal has every step.

Must show 2 and 5 of the first ring: the same story with either broker.
"""

import csv
import io
import json
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from tests.system.processes import GONE, Sighting
from tests.system.story import STAGES, Story
from tests.system.town import FIRST, PANEL, SECOND, Town

pytestmark = pytest.mark.system

STEPS: list[tuple[str, str | None, dict[str, object]]] = [
    ("raised", PANEL, {"kind": "help", "source": PANEL}),
    ("step_started", PANEL, {"step": 1, "bells": [FIRST], "wait_s": 3}),
    ("sounding", None, {"bells": [FIRST]}),
    ("step_started", None, {"step": 2, "bells": [FIRST, SECOND], "wait_s": 3}),
    ("sounding", None, {"bells": [SECOND]}),
    ("accepted", SECOND, {"person": "zhang", "device": SECOND}),
    ("arrived", PANEL, {"person": "zhang", "by": PANEL}),
    ("closed", SECOND, {"outcome": "helped", "by": SECOND}),
]
"""What the journal must say, from whom it came, and some of its facts; when bells fall silent is beside the point."""


@pytest.mark.parametrize("kind", ["embedded", pytest.param("mosquitto", marks=pytest.mark.slow)])
def test_a_press_rings_the_neighbours_and_every_step_is_seen_and_written(tmp_path: Path, kind: str) -> None:
    """Press, first bell, escalation, second bell, coming, arrived, done: on the lights and in the journal."""
    with Town(tmp_path, kind) as town:
        story = Story(town)
        told = story.tell()
        assert told.presses == 1
        assert in_turn(one.stage for one in story.shown(town.panel)) == [*STAGES, "closed", "idle"]
        assert in_turn(lights(story.shown(town.first))) == ["ringing", "taken", "ready"]
        # An answer, and later "done", each shows as answering until its receipt.
        assert in_turn(lights(story.shown(town.second))) == ["ringing", "answering", "mine", "answering", "ready"]
        assert_journal(town)
        assert_status(town)
        for program in (town.relay, *town.devices):
            assert program.stop() == 0, program.last_words()


def assert_journal(town: Town) -> None:
    """Every step with its time, to programs and to people, and the alarm's page tells the same."""
    lines = [json.loads(line) for line in town.ask_relay("journal", "--format", "jsonl").splitlines()]
    told = [line for line in lines if line["alarm"] and line["type"] != "silent"]
    assert [(line["type"], line["device"]) for line in told] == [(kind, device) for kind, device, _ in STEPS]
    for line, (_, _, facts) in zip(told, STEPS, strict=True):
        assert line["data"].items() >= facts.items(), line
    times = [datetime.fromisoformat(line["at"]) for line in lines]
    assert all(before <= after for before, after in pairwise(times))
    assert all(at.tzinfo is not None for at in times)
    rows = list(csv.DictReader(io.StringIO(town.ask_relay("--language", "en", "journal", "--format", "csv"))))
    assert [row["type"] for row in rows] == [line["type"] for line in lines]
    assert all(row["time"] and row["what happened"] for row in rows), rows
    page = json.loads(town.ask_relay("alarms", "show", told[0]["alarm"][:8], "--json"))
    assert (page["stage"], page["outcome"]) == ("closed", "helped")
    assert page["timeline"] == [line for line in lines if line["alarm"]]


def assert_status(town: Town) -> None:
    """The relay is well, and has counted what happened."""
    for path in ("/healthz", "/readyz"):
        code, text = town.status_page(path)
        assert (code, json.loads(text)["status"]) == (200, "ok"), text
    counted = dict(line.rsplit(" ", 1) for line in town.status_page("/metrics")[1].splitlines() if line[0] != "#")
    for metric in ("press_to_ring_seconds_count", "press_to_sound_seconds_count", 'transitions_total{line="accepted"}'):
        assert counted[f"doorbell_relay_{metric}"] == "1.0"
    assert float(counted["doorbell_relay_press_to_ring_seconds_sum"]) > 0
    assert float(counted["doorbell_relay_press_to_sound_seconds_sum"]) > float(
        counted["doorbell_relay_press_to_ring_seconds_sum"]
    )


def lights(shown: list[Sighting]) -> Iterable[str]:
    """The lights of a bell."""
    return (str(one.light) for one in shown if one is not GONE)


def in_turn(shown: Iterable[str]) -> list[str]:
    """What was shown, one after the other, each once."""
    return [what for what, _ in groupby(shown)]
