"""Findings as a test looks at them: by code, and each with its words in both languages."""

from __future__ import annotations

from collections.abc import Iterable

from device.doctor.words import next_of, what_of
from device.findings import Finding, Severity


def codes(findings: Iterable[Finding]) -> list[str]:
    """``check.code`` of each. Words that are missing, or that miss a fact, fail the test; so does a warning or a
    failure without a next step, and an all-clear with one."""
    found = []
    for one in findings:
        for language in ("zh-CN", "en"):
            assert what_of(one, language)
            needs_hands = one.severity in (Severity.WARNING, Severity.FAILURE)
            if one.severity is not Severity.NOTE:
                assert bool(next_of(one, language)) == needs_hands, one
        found.append(one.key)
    return found


def severities(findings: Iterable[Finding]) -> dict[str, str]:
    """Each code with its severity."""
    found = list(findings)
    return dict(zip(codes(found), (one.severity.value for one in found), strict=True))


class ScriptedConsole:
    """Answers in order; None for ever after. Keeps what was said."""

    def __init__(self, *answers: bool | None) -> None:
        self._answers = list(answers)
        self.said: list[str] = []
        self.asked: list[str] = []

    def tell(self, lines: Iterable[str]) -> None:
        self.said.extend(lines)

    def ask(self, question: str) -> bool | None:
        self.asked.append(question)
        return self._answers.pop(0) if self._answers else None
