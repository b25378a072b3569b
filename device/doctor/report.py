"""How findings are shown: a line each as they come, a summary at the end, or one JSON document. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from device.doctor.words import CHECKS, SEVERITIES, name_of, next_of, what_of
from device.findings import Finding, Severity, worst_of

SCHEMA = "doorbell-findings/1"


def finding_lines(finding: Finding, language: str) -> list[str]:
    """A finding for a person: what, and below it what to do next."""
    severity = name_of(SEVERITIES, finding.severity.value, language)
    check = name_of(CHECKS, finding.check, language)
    colon, arrow = (": ", "->") if language == "en" else ("：", "→")
    lines = [f"[{severity}] {check}{colon}{what_of(finding, language)}"]
    if remedy := next_of(finding, language):
        lines.append(f"    {arrow} {remedy}")
    return lines


def summary_lines(findings: Sequence[Finding], language: str) -> list[str]:
    """Fit for service, or what must be repaired, the worst first."""
    english = language == "en"
    failures = [one for one in findings if one.severity is Severity.FAILURE]
    warnings = [one for one in findings if one.severity is Severity.WARNING]
    if failures:
        lines = ["NOT fit for service. To be repaired:" if english else "不能使用。要修：", *_list(failures, language)]
        also = "Also:" if english else "还有："
    else:
        lines = ["Fit for service." if english else "可以使用。"]
        also = "To be repaired soon:" if english else "尽快修："
    return [*lines, also, *_list(warnings, language)] if warnings else lines


def document(command: str, device: str, at: str, findings: Sequence[Finding], language: str) -> dict[str, Any]:
    """The JSON document of ``doctor`` and ``selftest``, keys as stable as the wire's:

    ``schema``: ``doorbell-findings/1``; ``command``; ``device``: its id; ``at``: wall clock, RFC 3339; ``fit``: no
    failure; ``worst``: ``ok``, ``note``, ``warning`` or ``failure``; ``findings``: in the order in which they were
    made, each with ``check``, ``code`` (stable words), ``severity``, ``what`` and ``do_next`` (in the command's
    language; empty if there is nothing to do) and ``data`` (by code: ids, figures and reasons).
    """
    worst = worst_of(findings)
    return {
        "schema": SCHEMA,
        "command": command,
        "device": device,
        "at": at,
        "fit": worst is not Severity.FAILURE,
        "worst": worst.value,
        "findings": [
            {
                "check": one.check,
                "code": one.code,
                "severity": one.severity.value,
                "what": what_of(one, language),
                "do_next": next_of(one, language),
                "data": dict(one.data),
            }
            for one in findings
        ],
    }


def _list(findings: Iterable[Finding], language: str) -> list[str]:
    mark = "-" if language == "en" else "・"
    return [f"  {mark} {what_of(one, language)}" for one in findings]
