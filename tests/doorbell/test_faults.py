"""The list of faults: whole, current, and in two languages."""

import ast
from dataclasses import astuple
from pathlib import Path

import pytest

from device.core.wellness import Condition
from doorbell.faults import FAULTS, OUT, main

ROOT = Path(__file__).parents[2]
MAKERS = ("Trouble", "ContactFault")


def codes_told(source: str) -> set[str]:
    """The first argument of every ``Trouble(...)`` or ``ContactFault(...)`` in a source that stands there as a word."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    troubles = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in MAKERS]
    first = (arg for call in troubles for arg in [*call.args, *(k.value for k in call.keywords if k.arg == "code")][:1])
    return {arg.value for arg in first if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}


def test_every_fault_that_is_told_has_its_words_and_no_other() -> None:
    told = {code for path in (ROOT / "device").rglob("*.py") for code in codes_told(path.read_text("utf-8"))}
    assert "button_stuck" in told
    told |= {condition.value for condition in Condition}
    assert told == FAULTS.keys(), "doorbell/faults.py and what device/ tells differ; after mending it: make docs"


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ('Trouble("a", "disk")', {"a"}),
        ('Trouble("a", "disk") if x else Trouble(code="b", subject="c")', {"a", "b"}),
        ('ContactFault("a", "wet", cleared=True)', {"a"}),
        ("Trouble(condition.value, subject)", set()),
    ],
)
def test_a_fault_that_is_told_is_seen(source: str, codes: set[str]) -> None:
    assert codes_told(source) == codes


def test_every_fault_has_all_its_words_in_both_languages() -> None:
    for code, words in FAULTS.items():
        assert all(astuple(words)), code
        for chinese in (words.zh, words.zh_means, words.zh_remedy):
            assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese), (code, chinese)
        assert "|" not in "".join(astuple(words)), code


def test_the_page_is_what_would_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--out", str(ROOT / OUT)]) == 0, capsys.readouterr().err
    stale = tmp_path / "faults.md"
    stale.write_text("old")
    assert main(["--check", "--out", str(stale)]) == 1
    assert stale.read_text() == "old"
    assert main(["--out", str(stale)]) == 0
    assert stale.read_text("utf-8") == (ROOT / OUT).read_text("utf-8")
