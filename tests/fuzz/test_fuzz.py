"""A short run of every target, and whether the run would see a crash, a hang, a glutton and a difference at all."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import subject as module
from tests.fuzz.__main__ import main
from tests.fuzz.engine import Tally, Trial, run_alone
from tests.fuzz.mutate import mutate_bytes, mutate_der, mutate_json, mutate_toml
from tests.fuzz.subject import ROOT, Subject, same
from tests.fuzz.targets import TARGETS
from tests.thorough import THOROUGH

EVERY_DAY = 500
"""Inputs for each target, fewer for dear ones; in the slow suite a twentieth of a whole run."""


@pytest.mark.thorough
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # the library's opinion of certificates that it reads nevertheless
@pytest.mark.usefixtures("allow_error_logs")
def test_a_short_run_finds_no_crash(name: str) -> None:
    target = TARGETS[name]
    subject, tally = (
        target.load(),
        Tally(name, target.number // 20 if THOROUGH else min(EVERY_DAY, target.number // 100)),
    )
    run_alone(subject, Trial(subject, tally), seed=1)
    assert tally.crashes == {}
    assert tally.done == tally.number
    assert len(tally.outcomes) > 1, "nothing but one outcome: the inputs do not get deep"


def _below_peak() -> int:
    """How many bytes this process has let go since it was largest: other tests have run in it."""
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    return max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - resident)


def planted(data: bytes) -> str:
    """Four bugs behind a little grammar."""
    if data.startswith(b"GET "):
        if b"%" in data:
            raise ZeroDivisionError
        if data[4:5] == b"!":
            while True:
                pass
        if data[4:5] == b"*":
            module._kept = bytearray(b"x") * (_below_peak() + 80_000_000)  # type: ignore[attr-defined]
        same("path", data[4:5].lower(), data[4:5])
        return "get"
    return "other"


def test_a_run_sees_a_crash_a_hang_a_glutton_and_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CPU_S", 0.01)
    monkeypatch.setattr(module, "GROWTH_MB", 40)
    subject = Subject(planted, lambda: [b"GET /"], words=(b"%", b"!", b"*", b"A"))
    tally = Tally("planted", 500)
    try:
        run_alone(subject, Trial(subject, tally), seed=1)
    finally:
        module._kept = None  # type: ignore[attr-defined]
    kinds = {place.partition(" at ")[0] for place in tally.crashes}
    assert kinds == {"ZeroDivisionError", "CostError", "DifferentError"}
    told = " ".join(text for text, _data in tally.crashes.values())
    assert "of the processor" in told
    assert "memory" in told


def test_the_same_seed_gives_the_same_inputs() -> None:
    def inputs(seed: int) -> list[bytes]:
        seen: list[bytes] = []

        def run(data: bytes) -> str:
            seen.append(data)
            return str(len(data) % 3)

        subject = Subject(run, lambda: [b'{"a": [1, 2]}', b"x = 1\n"])
        run_alone(subject, Trial(subject, Tally("x", 300)), seed)
        return seen

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


@pytest.mark.parametrize("mutate", [mutate_json, mutate_toml, mutate_der])
def test_a_change_by_grammar_takes_any_bytes(mutate: object) -> None:
    assert callable(mutate)
    random = Random(1)
    for length in range(200):
        data = bytes(random.randrange(256) for _ in range(length))
        assert isinstance(mutate(random, data), bytes)
        assert isinstance(mutate_bytes(random, data, (), (data,)), bytes)


@pytest.mark.slow
def test_the_command_runs_guided_in_two_processes_keeps_a_crash_and_replays_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["prefixes", "issued", "--number", "3000", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "3,000 inputs" in told
    assert list((tmp_path / "corpus" / "prefixes").iterdir())
    kept = tmp_path / "prefixes-1"
    kept.write_bytes(b"doorbell/v1\ndoorbell/v1/a/b/event")
    assert main(["--replay", str(kept)]) == 0
    assert capsys.readouterr().out == "prefixes: event\n"


@pytest.mark.slow
def test_a_crash_is_told_with_the_command_that_shows_it_again(tmp_path: Path) -> None:
    plant = tmp_path / "sitecustomize.py"
    plant.write_text(
        "import relay.issued\n"
        "def parse(raw, source):\n"
        "    if b'revoked' in raw:\n"
        "        raise KeyError('planted')\n"
        "    return relay.issued.IssuedRegister(), 0\n"
        "relay.issued.parse_lines = parse\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-m", "tests.fuzz", "issued", "--number", "200", "--engine", "alone"]
    done = subprocess.run(
        [*command, "--directory", str(tmp_path / "fuzz")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "KeyError: 'planted'" in done.stdout
    (kept,) = (tmp_path / "fuzz" / "crashes").iterdir()
    assert f'make fuzz ARGS="--replay {kept}"' in done.stdout
    again = [sys.executable, "-m", "tests.fuzz", "--replay", str(kept)]
    shown = subprocess.run(again, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 1
    assert "planted" in shown.stderr
