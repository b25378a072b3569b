"""How the relay's values become rows of a database and come back, the same to the last bit. No SQL in here.

An alarm is kept as JSON in two parts: its policy, frozen when it was raised and written once, and all the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from relay.adapters.sealing import Seal, UnsealError
from relay.core.alarm import Alarm, NoteType
from relay.core.policy import Policy
from relay.core.renewal import Renewal, RenewalRow
from relay.ports import EventRow, JournalRow, NoticeRow, RejectedRow, TwinRow

MAX_REJECTED = 10_000
"""Rejected messages kept: with 8 KiB each at most 80 MB."""
MAX_REJECTED_BYTES = 8 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_ALARM = TypeAdapter(Alarm)
_POLICY = TypeAdapter(Policy)
_NOT_POLICY = {"policy"}

Row = tuple[Any, ...]


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970 in UTC, rounded down; ``ValueError`` for a time without a zone: a guess."""
    if at.tzinfo is None:
        raise ValueError(f"naive datetime {at!r}: the relay counts in aware UTC")
    return (at - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """The aware UTC time of so many milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A line of the journal as it is read back. ``seq`` rises with every line and is never used twice."""

    seq: int
    at: datetime
    community: str
    type: str
    household: str | None = None
    alarm: str | None = None
    device: str | None = None
    event: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------------------------------
# Alarms and policies


def alarm_state(alarm: Alarm) -> str:
    """Everything of an alarm but its policy, as JSON."""
    return _ALARM.serializer.to_json(alarm, exclude=_NOT_POLICY).decode()


class AlarmTexts:
    """The JSON of the alarms of one batch: each stands in several rows and is made once."""

    def __init__(self) -> None:
        self._states: dict[int, tuple[Alarm, str]] = {}
        self._policies: dict[int, tuple[Policy, str]] = {}

    def state(self, alarm: Alarm) -> str:
        """``alarm_state``, made once for each value."""
        made = self._states.get(id(alarm))
        if made is None:
            made = self._states[id(alarm)] = (alarm, alarm_state(alarm))
        return made[1]

    def policy(self, policy: Policy) -> str:
        """``policy_json`` without hashing all of the policy for each row."""
        made = self._policies.get(id(policy))
        if made is None:
            made = self._policies[id(policy)] = (policy, policy_json(policy))
        return made[1]


@lru_cache(maxsize=4096)
def policy_json(policy: Policy) -> str:
    """A policy as JSON; a community has few of them and raises many alarms."""
    return _POLICY.dump_json(policy).decode()


def read_alarm(policy: str, state: str) -> Alarm:
    """The alarm whose two parts these are."""
    return _ALARM.validate_json(f'{{"policy":{policy},{state[1:]}')


def read_policy(body: str) -> Policy:
    """The policy of ``policy_json``."""
    return _POLICY.validate_json(body)


def rebuild(lines: Iterable[Any]) -> dict[str, Alarm]:
    """The alarms as a journal left them: from its lines (alarm, policy, after), oldest first."""
    policies: dict[str, str] = {}
    states: dict[str, str] = {}
    for alarm, policy, after in lines:
        if policy is not None:
            policies[alarm] = policy
        states[alarm] = after
    return {alarm: read_alarm(policies[alarm], state) for alarm, state in states.items()}


# ---------------------------------------------------------------------------------------------------------------------
# Rows, in the order of the columns that ``relay.adapters.store_hot`` names


def event_values(row: EventRow) -> Row:
    """To the table ``event``."""
    return (
        row.id,
        row.community,
        row.device,
        row.type,
        to_ms(row.at),
        to_ms(row.received_at),
        row.alarm,
        row.verdict,
        row.body,
    )


def journal_values(row: JournalRow, texts: AlarmTexts) -> Row:
    """To the table ``journal``."""
    after = row.after
    return (
        to_ms(row.at),
        row.community,
        row.type,
        row.household,
        row.alarm,
        row.device,
        row.event,
        to_json(dict(row.data), inf_nan_mode="null").decode(),
        None if after is None else texts.state(after),
        texts.policy(after.policy) if after is not None and row.type == NoteType.RAISED else None,
    )


def alarm_values(alarm: Alarm, texts: AlarmTexts) -> Row:
    """To the table ``alarm``."""
    return (
        alarm.id,
        alarm.community,
        alarm.household,
        str(alarm.kind),
        to_ms(alarm.raised_at),
        texts.policy(alarm.policy),
        str(alarm.stage),
        None if alarm.deadline is None else to_ms(alarm.deadline),
        texts.state(alarm),
    )


def twin_values(row: TwinRow, seal: Seal) -> Row:
    """To the table ``twin``: the content has names and places in it."""
    return (row.device, row.rev, ",".join(row.stored), seal.close(f"twin.content {row.device}", row.content))


def notice_values(row: NoticeRow, seal: Seal) -> Row:
    """To the table ``notice``: the body has names and places in it."""
    return (
        row.id,
        row.community,
        row.alarm,
        row.hook,
        seal.close_text(f"notice.body {row.id}", to_json(dict(row.body), inf_nan_mode="null").decode()),
        to_ms(row.created_at),
        row.state,
        row.attempts,
        None if row.next_at is None else to_ms(row.next_at),
        row.detail,
    )


def rejected_values(row: RejectedRow, seal: Seal) -> Row:
    """To the table ``rejected``: what a stranger sent may tell of anybody, and must fit whatever it holds."""
    return (
        to_ms(row.at),
        seal.close_text("rejected.topic", _plain(row.topic)),
        seal.close("rejected.payload", row.payload[:MAX_REJECTED_BYTES]),
        row.reason,
        seal.close_text("rejected.detail", _plain(row.detail)),
    )


def _plain(text: str) -> str:
    """Without what no database takes as text: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "�")


# ---------------------------------------------------------------------------------------------------------------------
# And back


def read_event(row: Any) -> EventRow:
    """From the table ``event``."""
    return EventRow(
        id=row.id,
        community=row.community,
        device=row.device,
        type=row.type,
        at=row.at,
        received_at=row.received_at,
        alarm=row.alarm,
        verdict=row.verdict,
        body=bytes(row.body),
    )


def read_journal(row: Any) -> JournalLine:
    """From the table ``journal``."""
    return JournalLine(
        seq=row.seq,
        at=row.at,
        community=row.community,
        type=row.type,
        household=row.household,
        alarm=row.alarm,
        device=row.device,
        event=row.event,
        data=json.loads(row.data),
    )


def read_twin(row: Any, seal: Seal) -> TwinRow:
    """From the table ``twin``. A content that cannot be opened is none: the device is then told anew."""
    try:
        content = seal.open(f"twin.content {row.device}", bytes(row.content))
    except UnsealError:
        content = b""
    return TwinRow(row.device, row.rev, tuple(row.stored.split(",")) if row.stored else (), content)


def renewal_values(row: RenewalRow) -> Row:
    """To the table ``renewal``."""
    answered = None if row.answered_at is None else to_ms(row.answered_at)
    return (row.device, row.community, row.request, to_ms(row.asked_at), row.state.value, row.answer, answered)


def read_renewal(row: Any) -> RenewalRow:
    """From the table ``renewal``."""
    return RenewalRow(
        row.device, row.community, row.request, row.asked_at, Renewal(row.state), row.answer, row.answered_at
    )


def read_notice(row: Any, seal: Seal) -> NoticeRow:
    """From the table ``notice``. Of a body that cannot be opened the ids are left, which tell whom to ask."""
    ids = json.dumps({"alarm": row.alarm, "community": row.community})
    return NoticeRow(
        id=row.id,
        community=row.community,
        alarm=row.alarm,
        hook=row.hook,
        body=json.loads(seal.open_text_or(ids, f"notice.body {row.id}", row.body)),
        created_at=row.created_at,
        state=row.state,
        attempts=row.attempts,
        next_at=row.next_at,
        detail=row.detail,
    )


def read_rejected(row: Any, seal: Seal) -> RejectedRow:
    """From the table ``rejected``; what cannot be opened is empty."""
    try:
        payload = seal.open("rejected.payload", bytes(row.payload))
    except UnsealError:
        payload = b""
    topic, detail = (seal.open_text_or("", f"rejected.{name}", getattr(row, name)) for name in ("topic", "detail"))
    return RejectedRow(row.at, topic, payload, row.reason, detail)
