"""The storm: it passes, it replays, it says what failed, and it sees rules that are broken on purpose."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from sim.__main__ import main
from sim.storm import StormPlan, run_seed, run_storm
from tests.sim.sabotage import (
    BREAKAGES,
    HARMLESS,
    LEASE_BREAKAGES,
    SEVERAL,
    a_relay_speaks_on_when_its_lease_has_run_out,
    forgotten_when_sent,
    publish_before_commit,
    taken_over_without_its_alarms,
)

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


@pytest.mark.parametrize("seed", range(1, 3))
def test_several_relays_come_through_the_storm(seed: int) -> None:
    result = run_seed(seed, SEVERAL)
    assert result.failure is None, "\n".join((result.failure or "", *result.steps))
    assert result.counts["several"] == 1
    assert result.counts["journal.closed"] == result.counts["journal.raised"] > 0


@pytest.mark.parametrize("breakage", [a_relay_speaks_on_when_its_lease_has_run_out, taken_over_without_its_alarms])
def test_broken_rules_of_leases_are_seen(breakage: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    breakage(monkeypatch)
    assert any(run_seed(seed, SEVERAL).failure for seed in range(1, 5))


def test_an_order_of_presses_ends_with_them_and_goes_on_where_it_was_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = tmp_path / "kept.jsonl"
    order = ["storm", "--households", "3", "--jobs", "1", "--json", "--keep", str(keep), "--presses"]
    assert main([*order, "5"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["counts"]["finger.help"] >= 5
    lines = keep.read_text("utf-8")
    keep.write_text(lines + '{"seed": 2, "fail', "utf-8")  # killed in the middle of a line
    assert main([*order, str(first["counts"]["finger.help"])]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == first["counts"], "nothing was left to be done"
    assert main([*order, str(first["counts"]["finger.help"] + 1)]) == 0
    both = json.loads(capsys.readouterr().out)
    assert both["passed"] == first["passed"] + 1 == len(keep.read_text("utf-8").splitlines()) - 1
    assert both["counts"]["steps"] > first["counts"]["steps"]
    assert main([*order[:1], "--first", "7", *order[1:], "5"]) == 2
    assert "is of another order" in capsys.readouterr().err


def test_a_kept_failure_is_run_again_when_the_order_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It fails again, unless what it found has been mended; and no seed stands in for it, nor counts twice."""
    keep = tmp_path / "kept.jsonl"
    order = ["storm", "--households", "4", "--jobs", "1", "--json", "--keep", str(keep), "--seeds"]
    with monkeypatch.context() as patch:
        publish_before_commit(patch)
        for seeds in ("1", "1", "2"):
            assert main([*order, seeds]) == 1
    capsys.readouterr()
    assert main([*order, "3"]) == 0
    mended = json.loads(capsys.readouterr().out)
    assert mended["passed"] == 3
    lines = [json.loads(line) for line in keep.read_text("utf-8").splitlines()[1:]]
    assert {line["seed"] for line in lines if line["failure"] is None} == {1, 2, 3}
    with keep.open("a", encoding="utf-8") as file:
        file.write(json.dumps(lines[-1]) + "\n")
    assert main([*order, "3"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == mended["counts"]


def test_two_runs_do_not_keep_their_results_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep = tmp_path / "kept.jsonl"
    with keep.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert main(["storm", "--seeds", "1", "--keep", str(keep)]) == 2
    assert "another run writes into" in capsys.readouterr().err
    assert keep.read_text("utf-8") == ""


def test_processes_share_the_seeds_and_tell_them_in_order() -> None:
    results = list(run_storm(range(1, 8), StormPlan(households=3), 2))
    assert [result.seed for result in results] == list(range(1, 8))
    endless = run_storm(count(1), StormPlan(households=3), 2)
    assert [next(endless).counts for _ in range(3)] == [result.counts for result in results[:3]]
    endless.close()


@pytest.mark.slow
@pytest.mark.parametrize("breakage", LEASE_BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_every_rule_of_leases_broken_by_hand_is_seen(
    breakage: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    breakage(monkeypatch)
    assert any(run_seed(seed, SEVERAL).failure for seed in range(1, 41))


@pytest.mark.slow
@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_every_rule_broken_by_hand_is_seen(breakage: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    breakage(monkeypatch)
    assert any(run_seed(seed, StormPlan()).failure for seed in range(1, 201))


@pytest.mark.parametrize("harmless", HARMLESS, ids=lambda harmless: harmless.__name__)
def test_what_the_contract_makes_harmless_is_harmless(
    harmless: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    harmless(monkeypatch)
    assert [result.failure for seed in range(1, 6) if (result := run_seed(seed, SMALL)).failure] == []
