"""A whole relay, to which a device says what it likes: what it then commits, any database can take."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from relay.adapters import store_rows as rows
from relay.adapters.sealing import Seal
from relay.ports import Batch
from tests.fuzz.mutate import mutate_json
from tests.fuzz.subject import Subject, holds
from tests.fuzz.wire import golden
from tests.relay.doubles import BELLS, PANEL, House, uid

_CHANNELS = ("event", "event", "event", "reported", "online", "desired")
_SENDERS = (PANEL, *BELLS, "bell-nobody")
_DATABASE_INT = 2**63


class _Open(Seal):
    """Hides nothing, so that what would be sealed is looked at too."""

    def close(self, where: str, plain: bytes) -> bytes:
        return plain

    def close_text(self, where: str, plain: str) -> str:
        return plain


_OPEN = _Open(Path("none"))


def relay_turns() -> Subject:
    """Lines: two bytes for sender and channel, then a payload. All in one turn, and then a minute passes."""

    def run(data: bytes) -> str:
        house = House()
        batches: list[Batch] = []
        commit = house.store.commit

        def keep(batch: Batch) -> None:
            batches.append(batch)
            commit(batch)

        house.store.commit = keep  # type: ignore[method-assign]
        before = house.store.commits
        said = [
            house.delivery(_CHANNELS[line[1] % len(_CHANNELS)], line[2:], device=_SENDERS[line[0] % len(_SENDERS)])
            for line in data.split(b"\n")[:6]
            if len(line) > 2
        ]
        house.hear(*said)
        house.advance(60_000)
        for batch in batches:
            _storable(batch)
        acked = [mid for kind, mid in house.trace if kind == "ack"]
        holds("everything acknowledged", {one.mid for one in said} <= set(acked))
        heard = sum(len(batch.events) for batch in batches)
        refused = sum(len(batch.rejected) for batch in batches)
        return f"{min(heard, 3)} heard, {min(refused, 3)} refused, {min(house.store.commits - before, 4)} commits"

    def seeds() -> list[bytes]:
        lines = [_line(0 if b'"panel"' in payload else 1, kind, payload) for kind, payload in golden() if kind < 2]
        renew = {"request": "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"}
        event = {"id": uid(1), "at": "2026-11-23T06:43:00.120Z", "age_ms": 3, "clock": "synced"}
        press, answer = event | {"type": "help"}, event | {"type": "accept", "alarm": uid(1), "id": uid(2)}
        own = [
            _event(0, press),
            _event(0, press) + b"\n" + _event(1, answer),
            _event(0, event | {"type": "ok", "seq": 3}),
            _event(1, event | {"type": "fault", "detail": {"code": "stuck_button", "subject": "help", "text": "x"}}),
            _event(2, event | {"type": "renew", "detail": renew}),
            _event(2, event | {"type": "renew", "detail": {"taken": "0" * 64}}),
            b"\x00\x04offline",
            b"\x01\x04online",
        ]
        return [*own, *lines, own[0] + b"\n" + own[3] + b"\n" + own[6]]

    def change(random: Random, data: bytes) -> bytes:
        """One line of it."""
        lines = data.split(b"\n")
        place = random.randrange(len(lines))
        lines[place] = mutate_json(random, lines[place], 2)
        return b"\n".join(lines)

    words = (
        b"\n\x00\x00",
        b"\n\x01\x00",
        b"\n\x02\x03",
        b'"help"',
        b'"accept"',
        b'"fault"',
        b"\\u0000",
        b"\\ud83d",
        b"null",
        b"1e308",
    )
    return Subject(run, seeds, words, change, max_len=3_000)


def _event(sender: int, content: dict[str, Any]) -> bytes:
    return _line(sender, 0, json.dumps(content).encode())


def _line(sender: int, kind: int, payload: bytes) -> bytes:
    return bytes([sender, (0, 3)[kind]]) + b" ".join(payload.split())


def _storable(batch: Batch) -> None:
    """What a batch becomes in a database: no NUL, no half character, no number that is too large."""
    texts = rows.AlarmTexts()
    made = [rows.event_values(row) for row in batch.events]
    made += [rows.journal_values(row, texts) for row in batch.journal]
    made += [rows.alarm_values(alarm, texts) for alarm in batch.alarms.values()]
    made += [rows.twin_values(row, _OPEN) for row in batch.twins.values()]
    made += [rows.notice_values(row, _OPEN) for row in batch.notices.values()]
    made += [rows.rejected_values(row, _OPEN) for row in batch.rejected]
    made += [rows.renewal_values(row) for row in batch.renewals.values()]
    for value in (value for row in made for value in row):
        match value:
            case str():
                holds(f"no NUL in {value[:80]!r}", "\0" not in value)
                value.encode()
            case int():
                holds(f"{value} is too large", abs(value) < _DATABASE_INT)
            case _:
                pass
    for alarm in batch.alarms.values():
        again = rows.read_alarm(rows.policy_json(alarm.policy), rows.alarm_state(alarm))
        holds("an alarm that is read as it was written", again == alarm)
