"""Webhooks, told over real HTTP on this machine."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import structlog

from relay.adapters.notify import MAX_ANSWER_BYTES, WebhookNotifier
from relay.core.register import Hook
from relay.ports import NoticeDelivered, NoticeRow
from tests.relay.receiver import WAIT_S, Receiver, receiving
from tests.relay.rows import T0, uid


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiving() as receiver:
        yield receiver


@dataclass
class Teller:
    """A notifier with the outcomes that came of it."""

    notifier: WebhookNotifier
    outcomes: Queue[NoticeDelivered]

    def tell(self, hook: Hook, notice: str = "n1") -> NoticeDelivered:
        self.notifier.send(a_notice(notice, hook), hook)
        return self.outcomes.get(timeout=WAIT_S)


@contextmanager
def telling(**options: Any) -> Iterator[Teller]:
    outcomes: Queue[NoticeDelivered] = Queue()
    teller = Teller(WebhookNotifier(outcomes.put, **options), outcomes)
    try:
        yield teller
    finally:
        teller.notifier.close()


@pytest.fixture
def teller() -> Iterator[Teller]:
    with telling() as teller:
        yield teller


def a_notice(notice: str, hook: Hook) -> NoticeRow:
    return NoticeRow(notice, "xihu", uid(1), hook.id, {"text": "柳奶奶 求助", "presses": 2}, T0)


def test_a_hook_gets_the_notice_as_json_with_its_id(receiver: Receiver, teller: Teller) -> None:
    assert teller.tell(receiver.hook("/board"), "alarm/step/0") == NoticeDelivered("alarm/step/0", ok=True)
    (told,) = receiver.told
    assert json.loads(told.body) == {"text": "柳奶奶 求助", "presses": 2}
    assert told.headers["Content-Type"] == "application/json; charset=utf-8"
    assert told.headers["Idempotency-Key"] == "alarm/step/0"
    assert "X-Doorbell-Signature" not in told.headers


def test_a_hook_with_a_key_can_tell_who_speaks(receiver: Receiver, tmp_path: Path) -> None:
    key = tmp_path / "board.key"
    key.write_text("topsecret\n")
    with telling(unix_s=lambda: 1_763_880_180.9) as teller:
        assert teller.tell(receiver.hook("/board", str(key))).ok
    (told,) = receiver.told
    expected = hmac.new(b"topsecret", b"1763880180." + told.body, hashlib.sha256).hexdigest()
    assert told.headers["X-Doorbell-Signature"] == f"t=1763880180,v1={expected}"


def test_a_key_that_cannot_be_read_sends_nothing_unsigned(receiver: Receiver, teller: Teller, tmp_path: Path) -> None:
    outcome = teller.tell(receiver.hook("/board", str(tmp_path / "none.key")))
    assert (outcome.ok, outcome.retryable) == (False, True)
    assert receiver.told == []


@pytest.mark.parametrize(
    ("status", "ok", "retryable"),
    [
        (200, True, None),
        (204, True, None),
        (302, False, False),
        (400, False, False),
        (404, False, False),
        (408, False, True),
        (425, False, True),
        (429, False, True),
        (500, False, True),
        (503, False, True),
    ],
)
def test_the_status_says_whether_to_try_again(
    receiver: Receiver, teller: Teller, status: int, ok: bool, retryable: bool | None
) -> None:
    receiver.answers["/board"] = (status, b"")
    outcome = teller.tell(receiver.hook("/board"))
    assert outcome.ok is ok
    if not ok:
        assert outcome.retryable is retryable
        assert outcome.detail == f"HTTP {status}"
    assert len(receiver.told) == 1


@pytest.mark.parametrize(
    ("answer", "detail", "retryable"),
    [
        (b'{"errcode":0,"errmsg":"ok"}', None, None),
        (b'{"errcode":45009,"errmsg":"api freq out of limit"}', "errcode 45009", True),
        (b'{"errcode":93000,"errmsg":"invalid webhook url"}', "errcode 93000", False),
        (b'{"errcode":310000,"errmsg":"keywords not in content"}', "errcode 310000", False),
        (b'{"errcode":-1,"errmsg":"system busy"}', "errcode -1", True),
        (b'{"StatusCode":0,"code":0,"msg":"success","data":{}}', None, None),
        (b'{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}', "code 19001", False),
        (b'{"code":11232,"msg":"frequency limited"}', "code 11232", True),
        (b'{"code":200,"msg":"ok"}', None, None),
        (b'{"code":"E1","errcode":null}', None, None),
        (b"ok", None, None),
        (b"[1]", None, None),
        (b"\xff\xfe{", None, None),
        (b"[" * 50_000, None, None),
        (b'{"errcode":45009,"x":"' + b"x" * (2 * MAX_ANSWER_BYTES), None, None),
    ],
)
def test_a_chat_reports_failure_inside_a_success(
    receiver: Receiver, teller: Teller, answer: bytes, detail: str | None, retryable: bool | None
) -> None:
    receiver.answers["/chat"] = (200, answer)
    outcome = teller.tell(receiver.hook("/chat"))
    if detail is None:
        assert outcome == NoticeDelivered("n1", ok=True)
    else:
        assert outcome == NoticeDelivered("n1", ok=False, retryable=bool(retryable), detail=detail)


def test_nobody_there_is_worth_trying_again(receiver: Receiver, teller: Teller) -> None:
    hook = Hook("gone", "xihu", "http://127.0.0.1:1/?key=s3cret")
    assert teller.tell(hook) == NoticeDelivered("n1", ok=False, retryable=True, detail="ConnectError")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "board", "http://[::1"])
def test_a_url_that_is_none_is_not_tried_again(teller: Teller, url: str) -> None:
    outcome = teller.tell(Hook("odd", "xihu", url))
    assert (outcome.ok, outcome.retryable) == (False, False)


def test_an_answer_that_does_not_come_is_worth_trying_again(receiver: Receiver) -> None:
    with telling(timeout_s=0.05) as teller:
        outcome = teller.tell(receiver.hook("/hang"))
        assert outcome == NoticeDelivered("n1", ok=False, retryable=True, detail="ReadTimeout")
        receiver.gate.set()


def test_a_hook_that_hangs_holds_up_no_other(receiver: Receiver) -> None:
    with telling(workers=2) as teller:
        for number in range(5):
            hook = receiver.hook("/hang")
            teller.notifier.send(a_notice(f"h{number}", hook), hook)
        assert receiver.hanging.wait(WAIT_S)
        assert teller.tell(receiver.hook("/board"), "b") == NoticeDelivered("b", ok=True)
        assert [told.path for told in receiver.told] == ["/hang", "/board"]
        receiver.gate.set()
        assert [teller.outcomes.get(timeout=WAIT_S).notice for _ in range(5)] == ["h0", "h1", "h2", "h3", "h4"]


def test_a_hook_that_hangs_does_not_hold_up_the_end(receiver: Receiver) -> None:
    """A relay that stopped or died waited for it, up to half a minute in which no other relay could start."""
    with telling() as teller:
        hook = receiver.hook("/hang")
        teller.notifier.send(a_notice("n1", hook), hook)
        assert receiver.hanging.wait(WAIT_S)
        teller.notifier.close()
        assert teller.outcomes.empty()
        receiver.gate.set()
        assert teller.outcomes.get(timeout=WAIT_S).ok


def test_every_notice_has_exactly_one_outcome(receiver: Receiver, teller: Teller) -> None:
    hooks = [receiver.hook(f"/hook-{number}") for number in range(7)]
    for number in range(300):
        hook = hooks[number % 7]
        teller.notifier.send(a_notice(f"n{number}", hook), hook)
    outcomes = [teller.outcomes.get(timeout=WAIT_S) for _ in range(300)]
    assert {outcome.notice for outcome in outcomes} == {f"n{number}" for number in range(300)}
    assert all(outcome.ok for outcome in outcomes)
    assert teller.outcomes.empty()
    assert len(receiver.told) == 300
    for number, hook in enumerate(hooks):
        keys = [told.headers["Idempotency-Key"] for told in receiver.told if told.path == f"/{hook.id}"]
        assert keys == [f"n{n}" for n in range(number, 300, 7)]


def test_no_room_is_an_outcome_too(receiver: Receiver) -> None:
    with telling(max_waiting=2) as teller:
        hook = receiver.hook("/hang")
        teller.notifier.send(a_notice("runs", hook), hook)
        assert receiver.hanging.wait(WAIT_S)
        for number in range(3):
            teller.notifier.send(a_notice(f"n{number}", hook), hook)
        refused = teller.outcomes.get(timeout=WAIT_S)
        assert (refused.notice, refused.ok, refused.retryable) == ("n2", False, True)
        receiver.gate.set()
        assert {teller.outcomes.get(timeout=WAIT_S).notice for _ in range(3)} == {"runs", "n0", "n1"}
    teller.notifier.send(a_notice("after", hook), hook)
    assert not teller.outcomes.get(timeout=WAIT_S).ok


def test_a_bug_ends_one_attempt_and_no_thread(
    receiver: Receiver, allow_error_logs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = receiver.hook("/board")
    with telling(workers=1) as teller:
        outcome = teller.tell(hook, "naïve ☎")  # no header can carry it
        assert (outcome.ok, outcome.retryable) == (False, True)
        assert teller.tell(hook, "next").ok
    assert [line["event"] for line in allow_error_logs] == ["notice.crashed"]


def test_a_sink_that_fails_ends_no_thread(receiver: Receiver, allow_error_logs: list[dict[str, Any]]) -> None:
    outcomes: Queue[NoticeDelivered] = Queue()

    def sink(outcome: NoticeDelivered) -> None:
        if outcome.notice == "first":
            raise RuntimeError("going down")
        outcomes.put(outcome)

    notifier = WebhookNotifier(sink, workers=1)
    try:
        hook = receiver.hook("/board")
        for name in ("first", "second"):
            notifier.send(a_notice(name, hook), hook)
        assert outcomes.get(timeout=WAIT_S).notice == "second"
    finally:
        notifier.close()
    assert [line["event"] for line in allow_error_logs] == ["notice.outcome_lost"]


@pytest.mark.parametrize("answer", [(500, b"s3cret"), (200, b'{"errcode":1,"errmsg":"s3cret"}')])
def test_nothing_said_holds_the_url_or_the_body(
    receiver: Receiver, answer: tuple[int, bytes], capture: Callable[[], list[dict[str, Any]]]
) -> None:
    with telling() as teller:
        receiver.answers["/board"] = answer
        said = [str(teller.tell(receiver.hook("/board")))]
        said.append(str(teller.tell(Hook("odd", "xihu", "gopher://s3cret"))))
        said.append(str(teller.tell(Hook("gone", "xihu", "http://127.0.0.1:1/s3cret"))))
    text = " ".join([*said, *map(str, capture())])
    assert "s3cret" not in text
    assert "柳奶奶" not in text
    assert "127.0.0.1" not in text


@pytest.fixture
def capture() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    with structlog.testing.capture_logs() as lines:
        yield lambda: [dict(line) for line in lines]
