"""What a check has found: a code with facts, no words. ``device.doctor.words`` has the words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Severity(StrEnum):
    """How bad it is. ``NOTE``: worth reading, nothing to do. ``WARNING``: repair it soon. ``FAILURE``: not fit for
    service."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


_ORDER = tuple(Severity)
EXIT_CODE = {Severity.OK: 0, Severity.NOTE: 0, Severity.WARNING: 1, Severity.FAILURE: 3}
"""2 stays what it is everywhere: wrong usage or settings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check.

    ``check``: the part looked at (``button``, ``clock``). ``code``: what was found, a stable word within the check.
    ``data``: the facts; what the words of the code need is among them. Ids and figures only.
    """

    check: str
    code: str
    severity: Severity
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def key(self) -> str:
        """The name of its words."""
        return f"{self.check}.{self.code}"


def worst_of(findings: Iterable[Finding]) -> Severity:
    """The most severe; ``OK`` if there is none."""
    return max((one.severity for one in findings), key=_ORDER.index, default=Severity.OK)


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """For a line of the control socket."""
    return {
        "check": finding.check,
        "code": finding.code,
        "severity": finding.severity.value,
        "data": dict(finding.data),
    }


def finding_from_json(found: Mapping[str, Any]) -> Finding:
    """The other half. Raises ``KeyError`` or ``ValueError`` if it is none."""
    data = MappingProxyType(dict(found["data"]))
    return Finding(str(found["check"]), str(found["code"]), Severity(found["severity"]), data)
