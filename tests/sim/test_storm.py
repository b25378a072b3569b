"""The storm: it passes, it replays, it says what failed, and it sees rules that are broken on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from sim.__main__ import main
from sim.storm import StormPlan, run_seed
from tests.sim.sabotage import BREAKAGES, HARMLESS, forgotten_when_sent, publish_before_commit

SMALL = StormPlan(households=6)
_DIGEST = """
import hashlib, sys
from sim.storm import StormPlan, build_village, draw_scene, live_through, prepare_process
prepare_process()
plan = StormPlan(households=6, trail=1_000_000)
scene = draw_scene("storm-3", plan)
village = build_village("storm-3", plan, scene)
live_through(village, plan, scene)
print(village.trail.count, hashlib.sha256("\\n".join(village.trail.lines()).encode()).hexdigest())
"""


@pytest.mark.parametrize("seed", range(1, 13))
def test_a_small_village_comes_through_the_storm(seed: int) -> None:
    result = run_seed(seed, SMALL)
    assert result.failure is None, "\n".join((result.failure or "", *result.steps))
    assert result.counts["journal.raised"] > 0
    assert result.counts["journal.closed"] == result.counts["journal.raised"]


def test_a_seed_replays_exactly_whatever_python_hashes_strings_to() -> None:
    def digest(hash_seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", _DIGEST], env=env, capture_output=True, text=True, check=True)
        return done.stdout

    first = digest("1")
    assert int(first.split()[0]) > 500
    assert digest("2") == first


def test_the_command_tells_the_seed_the_rule_the_steps_and_how_to_replay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["storm", "--first", "1", "--seeds", "2", "--households", "4", "--jobs", "1"]
    assert main(arguments) == 0
    assert "2 passed, 0 failed" in capsys.readouterr().out
    publish_before_commit(monkeypatch)
    assert main([*arguments, "--json"]) == 1
    *failures, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert [one["seed"] for one in failures] == [1, 2]
    assert all("is told" in one["failure"] and one["steps"] for one in failures)
    assert (summary["passed"], summary["failed"]) == (0, 2)
    assert main([*arguments, "--steps", "3"]) == 1
    told = capsys.readouterr().out
    assert "replay: doorbell-sim storm --seed 2 --households 4 --days 1" in told
    assert "0 passed, 2 failed" in told


def test_a_failing_seed_fails_alike_when_it_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten_when_sent(monkeypatch)
    first, again = run_seed(4, SMALL), run_seed(4, SMALL)
    assert first.failure is not None
    assert (first.failure, first.steps) == (again.failure, again.steps)


def test_a_crash_of_a_program_is_a_failure_and_not_the_end_of_the_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("relay.engine.route_event", broken)
    assert (run_seed(1, SMALL).failure or "").startswith("RuntimeError: a bug")


@pytest.mark.parametrize("arguments", [["storm", "--seeds", "0"], ["storm", "--households", "x"], ["no-such"], []])
def test_wrong_arguments_are_refused_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: doorbell-sim" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_every_rule_broken_by_hand_is_seen(breakage: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    breakage(monkeypatch)
    assert any(run_seed(seed, StormPlan()).failure for seed in range(1, 101))


@pytest.mark.parametrize("harmless", HARMLESS, ids=lambda harmless: harmless.__name__)
def test_what_the_contract_makes_harmless_is_harmless(
    harmless: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    harmless(monkeypatch)
    assert [result.failure for seed in range(1, 6) if (result := run_seed(seed, SMALL)).failure] == []
