"""Telling hooks: every notice is a row in the database until it was delivered or given up."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from relay.book import Wakeups
from relay.core.alarm import Alarm, Notice
from relay.core.notice import DEAF_AFTER_ATTEMPTS, MAX_ATTEMPTS, next_attempt, notice_body
from relay.core.register import Register
from relay.ports import NoticeDelivered, NoticeRow
from relay.turn import Turn

UNTOLD_WAIT_MS = 1_000
"""A beat of the leases: sooner there is no new word on whether it may be sent, and the relay would turn for nothing."""


class HookDesk:
    """The pending notices and when each is tried again."""

    def __init__(self, register: Register, pending: Mapping[str, NoticeRow], mono_ms: int) -> None:
        self.register = register
        self._pending: dict[str, NoticeRow] = {}
        self._retries = Wakeups()
        self.adopt(pending, mono_ms)

    def adopt(self, pending: Mapping[str, NoticeRow], mono_ms: int) -> None:
        """Notices that were pending at a start, or are of communities that it holds from now on: tried at once."""
        for notice_id, row in pending.items():
            self._pending[notice_id] = row
            self._retries.set(notice_id, mono_ms)

    def forget(self, communities: Container[str]) -> None:
        """Notices of these communities are somebody else's to send."""
        for row in [row for row in self._pending.values() if row.community in communities]:
            del self._pending[row.id]
            self._retries.clear(row.id)

    def not_told(self, notice_id: str, mono_ms: int) -> None:
        """This one was not sent after its turn: it is tried again as if it were new, a little later."""
        if notice_id in self._pending:
            self._retries.set(notice_id, mono_ms + UNTOLD_WAIT_MS)

    def add(self, turn: Turn, alarm: Alarm, notices: Iterable[Notice]) -> None:
        """New notices of an alarm: committed with the turn, sent after it."""
        for notice in notices:
            row = NoticeRow(
                id=notice.key,
                community=alarm.community,
                alarm=alarm.id,
                hook=notice.hook,
                body=notice_body(self.register, alarm, notice.occasion),
                created_at=turn.now,
                next_at=turn.now,
            )
            self._pending[row.id] = row
            turn.batch.notices[row.id] = row
            self._send(turn, row)

    def delivered(self, turn: Turn, outcome: NoticeDelivered) -> NoticeRow | None:
        """The outcome of one attempt. Returns the notice if its hook must now be held deaf."""
        row = self._pending.get(outcome.notice)
        if row is None:
            return None
        attempts = row.attempts + 1
        if outcome.ok:
            self._close(turn, replace(row, attempts=attempts, state="sent", next_at=None, detail=""))
            return None
        if not outcome.retryable or attempts >= MAX_ATTEMPTS:
            failed = replace(row, attempts=attempts, state="failed", next_at=None, detail=outcome.detail[:500])
            self._close(turn, failed)
            return failed
        next_at = next_attempt(turn.now, attempts)
        row = replace(row, attempts=attempts, next_at=next_at, detail=outcome.detail[:500])
        self._pending[row.id] = row
        turn.batch.notices[row.id] = row
        self._retries.set(row.id, turn.mono_ms + (next_at - turn.now) // timedelta(milliseconds=1))
        return row if attempts == DEAF_AFTER_ATTEMPTS else None

    def _close(self, turn: Turn, row: NoticeRow) -> None:
        del self._pending[row.id]
        self._retries.clear(row.id)
        turn.batch.notices[row.id] = row

    def retry(self, turn: Turn, open_alarms: Container[str]) -> None:
        """Try again what is due; nobody is called to an alarm that has been closed meanwhile."""
        for notice_id in self._retries.pop_due(turn.mono_ms):
            row = self._pending[notice_id]
            if row.alarm in open_alarms:
                self._send(turn, row)
            else:
                self._close(turn, replace(row, state="failed", next_at=None, detail="the alarm is closed"))

    def _send(self, turn: Turn, row: NoticeRow) -> None:
        hook = self.register.hooks.get(row.hook)
        if hook is None:
            self._close(turn, replace(row, state="failed", next_at=None, detail="the hook is no longer registered"))
            return
        turn.tell.append((row, hook))

    def next_ms(self) -> int | None:
        """When the next attempt is due."""
        return self._retries.next_ms()
