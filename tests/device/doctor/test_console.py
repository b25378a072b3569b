"""The person at the terminal: answers in two languages, nonsense, and a terminal that is gone."""

from __future__ import annotations

import io

import pytest

from device.doctor.console import TerminalConsole


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("y\n", True), ("YES\n", True), ("是\n", True), ("听见了\n否\n", False), ("n\n", False), ("没有\n", False),
        ("s\n", None), ("跳过\n", None), ("", None), ("\n\n\ny\n", None), ("\ny\n", True),
    ],
)  # fmt: skip
def test_only_a_clear_answer_counts(typed: str, answer: bool | None) -> None:
    out = io.StringIO()
    assert TerminalConsole(out, io.StringIO(typed)).ask("?") is answer
    assert 1 <= out.getvalue().count("?") <= 3


def test_what_is_told_is_there_at_once() -> None:
    out = io.StringIO()
    TerminalConsole(out, io.StringIO()).tell(["one", "two"])
    assert out.getvalue() == "one\ntwo\n"
