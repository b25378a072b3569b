"""What several commands of the authority do about identities."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from relay.audit import AuditWord
from relay.commands.auditing import write_if_made
from relay.commands.setting import Setting
from relay.issued import Purpose
from relay.texts import authority as say

if TYPE_CHECKING:
    from relay.adapters.authority import Authority


def local_date(at: datetime) -> str:
    """The day, on this machine's clocks."""
    return f"{at.astimezone():%Y-%m-%d}"


def warn_of_end(setting: Setting, authority: Authority) -> None:
    """Say that the issuing authority does not last as long as what it would sign now."""
    from relay.adapters.authority.x509 import LASTS  # noqa: PLC0415 - the other commands need no cryptography

    until = authority.issuing[-1].until
    if until < datetime.now(UTC) + LASTS:
        setting.warn(say.ISSUING_ENDS, until=local_date(until))


def write_identity(
    setting: Setting, what: AuditWord, purpose: Purpose, name: str, detail: Mapping[str, Any] | None = None
) -> None:
    """A line of the audit log about somebody's identity."""
    device = name if purpose is Purpose.DEVICE else None
    write_if_made(setting, what, {"for": purpose.value, "name": name, **(detail or {})}, device=device)
