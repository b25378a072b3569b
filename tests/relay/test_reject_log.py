"""Rejected messages in the log: each where there are few, their number where there are many."""

from datetime import UTC, datetime

import pytest
from structlog.testing import CapturingLogger

from relay.intake import LOGGED_A_MINUTE, RejectLog
from relay.ports import RejectedRow

AT = datetime(2026, 11, 23, tzinfo=UTC)


def row(number: int) -> RejectedRow:
    return RejectedRow(AT, f"doorbell/v1/xihushan/bell-{number}/event", b"{", "not_json", "EOF")


def told(log: CapturingLogger) -> list[tuple[str, object]]:
    """The events with what tells them apart."""
    return [(call.args[0], call.kwargs.get("topic") or call.kwargs) for call in log.calls]


def reject(log: RejectLog, first: int, count: int, mono_ms: int, *, again: int = 0) -> None:
    """So many messages in one turn, and ``again`` that were known."""
    for _ in range(count + again):
        log.count()
    log.tell([row(first + number) for number in range(count)], mono_ms)


def test_a_rejected_message_is_logged_with_its_reason_and_topic() -> None:
    lines = CapturingLogger()
    reject(RejectLog(lines), 1, 1, 0)
    facts = {"reason": "not_json", "topic": row(1).topic}
    assert told(lines) == [("message.rejected", row(1).topic)]
    assert lines.calls[0].kwargs == facts


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("doorbell/v1/xihushan/柳奶奶/event", "doorbell/v1/xihushan/?/event"),
        ("Liu Nainai", "?"),
        ("doorbell/v1/a/b/peer/c", "doorbell/v1/a/b/peer/c"),
        ("$SYS/x", "?/x"),
        ("/" * 300, "/".join("?" * 201)),
    ],
)
def test_nothing_that_a_stranger_wrote_is_in_the_log(topic: str, shown: str) -> None:
    lines = CapturingLogger()
    log = RejectLog(lines)
    log.count()
    log.tell([RejectedRow(AT, topic, "彭小平".encode(), "invalid", "presence '彭小平'")], 0)
    assert [call.kwargs for call in lines.calls] == [{"reason": "invalid", "topic": shown}]


def test_a_flood_is_logged_by_its_number_once_a_minute() -> None:
    lines = CapturingLogger()
    log = RejectLog(lines)
    for turn in range(40):
        reject(log, turn * 250, 250, turn, again=1)
    assert len(lines.calls) == LOGGED_A_MINUTE
    log.tell([], 59_999)
    assert len(lines.calls) == LOGGED_A_MINUTE
    log.tell([], 60_000)
    count = 40 * 251
    assert told(lines)[LOGGED_A_MINUTE:] == [("messages.rejected", {"count": count, "unlogged": count - 20})]
    log.tell([], 120_000)
    assert len(lines.calls) == LOGGED_A_MINUTE + 1, "a quiet minute is not worth a line"


def test_the_next_minute_is_logged_one_by_one_again_and_few_need_no_sum() -> None:
    lines = CapturingLogger()
    log = RejectLog(lines)
    reject(log, 1, 2, 0)
    reject(log, 3, 1, 60_000)
    assert told(lines) == [("message.rejected", row(number).topic) for number in (1, 2, 3)]
