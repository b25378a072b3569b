"""The technician at the terminal: what is told and asked, and what the answers mean."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Protocol, TextIO

from device.doctor.words_talk import say

_YES = frozenset({"y", "yes", "j", "是", "好", "有", "对", "1"})
_NO = frozenset({"n", "no", "不", "否", "没有", "没", "0"})
_SKIP = frozenset({"s", "skip", "跳过"})
_TRIES = 3
"""An answer that is none is asked for again; then it is taken as not known."""


class Console(Protocol):
    """Where a check meets the person beside the device."""

    def tell(self, lines: Iterable[str]) -> None:
        """Show something."""
        ...

    def ask(self, question: str) -> bool | None:
        """A question with yes and no; None: skipped, or nobody answers."""
        ...


class TerminalConsole:
    """Tells on ``out``, reads answers from ``answers``."""

    def __init__(self, out: TextIO, answers: TextIO | None = None) -> None:
        self._out = out
        self._answers = answers if answers is not None else sys.stdin

    def tell(self, lines: Iterable[str]) -> None:
        """One line each, at once: the person waits for it."""
        for line in lines:
            self._out.write(f"{line}\n")
        self._out.flush()

    def ask(self, question: str) -> bool | None:
        """Until the answer is one, at most three times."""
        for _ in range(_TRIES):
            self._out.write(f"{question} [{say('yes_no_skip')}] ")
            self._out.flush()
            line = self._answers.readline()
            word = line.strip().lower()
            if not line or word in _SKIP:
                return None
            if word in _YES or word in _NO:
                return word in _YES
        return None
