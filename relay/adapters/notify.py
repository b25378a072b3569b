"""Tells webhooks: one POST of JSON for each notice, from a few threads of its own.

Each hook is told one notice at a time and in order, and hooks take turns: one that hangs until its timeout holds up
one thread and nobody else's notices. The receiver can tell a repeat by ``Idempotency-Key`` (the notice's id) and, when
the hook has a key, the sender by ``X-Doorbell-Signature: t=<unix s>,v1=<hex>``, where ``v1`` is the HMAC-SHA256 of
``<t>.<body>`` with the content of ``secret_file`` (the scheme of Stripe's webhooks).

Logs and details carry ids and numbers: a URL holds a group's key, a body says who needs help.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import structlog
from pydantic_core import to_json

from relay.core.register import Hook
from relay.ports import NoticeDelivered, NoticeRow

TIMEOUT_S = 10.0
"""For each of connecting, sending and every part of the answer."""
CLOSE_S = 1.0
"""For attempts that run when the relay stops or has died: the next relay must not wait for a hook that hangs."""
MAX_WAITING = 10_000
"""Notices in memory; more fail as retryable and come again by the relay's own back-off."""
MAX_ANSWER_BYTES = 64 * 1024
"""Of an answer that is read for an error code: those of chats have a hundred."""
_AGAIN_LATER = frozenset({408, 425, 429})
_WRONG_FOR_GOOD = frozenset(
    {
        *(40008, 40058, 93000),  # WeCom: the message's type or content is wrong, no such webhook
        *(300001, 300005, 310000),  # DingTalk: no such robot or token, the security settings refuse it
        *(19001, 19021, 19022, 19024),  # Feishu: no such webhook, signature, address, keywords
    }
)
"""Codes of chats that no repetition heals; every other one (limits, busy) may."""
_CODES_OF_SUCCESS = frozenset({0, 200})
"""Feishu answers ``code`` 0; many web frameworks repeat the HTTP status there."""

Job = tuple[NoticeRow, Hook]


class WebhookNotifier:
    """A ``relay.ports.Notifier``. ``sink`` gets every outcome, from one of this object's threads."""

    def __init__(
        self,
        sink: Callable[[NoticeDelivered], None],
        *,
        workers: int = 4,
        max_waiting: int = MAX_WAITING,
        timeout_s: float = TIMEOUT_S,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._sink = sink
        self._timeout_s = timeout_s
        self._unix_s = unix_s
        self._log = structlog.get_logger("relay.notify")
        self._lanes = _Lanes(max_waiting)
        self._client = httpx2.Client(timeout=timeout_s, headers={"User-Agent": "love-doorbell"})
        self._threads = [threading.Thread(target=self._work, name=f"notify-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def send(self, notice: NoticeRow, hook: Hook) -> None:
        """Try once to tell the hook; never blocks. The outcome comes to the sink, at once if there is no room."""
        if not self._lanes.put((notice, hook)):
            self._deliver(NoticeDelivered(notice.id, ok=False, detail="too many notices are waiting"))

    def close(self) -> None:
        """Stop within ``CLOSE_S``; what waits or still runs is in the database and is sent after the next start."""
        self._lanes.close()
        give_up = time.monotonic() + CLOSE_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, give_up - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            self._client.close()

    def _work(self) -> None:
        while (job := self._lanes.take()) is not None:
            notice, hook = job
            try:
                outcome = self._attempt(notice, hook)
            except Exception as error:  # noqa: BLE001 - whatever a hook makes us do wrong, the next notice must go out
                self._log.error("notice.crashed", notice=notice.id, hook=hook.id, error=type(error).__name__)
                outcome = NoticeDelivered(notice.id, ok=False, detail=f"failed inside: {type(error).__name__}")
            self._lanes.done(hook.id)
            self._deliver(outcome)

    def _deliver(self, outcome: NoticeDelivered) -> None:
        try:
            self._sink(outcome)
        except Exception as error:  # noqa: BLE001 - the relay may be going down; the notice stays pending in the database
            self._log.error("notice.outcome_lost", notice=outcome.notice, error=type(error).__name__)

    def _attempt(self, notice: NoticeRow, hook: Hook) -> NoticeDelivered:
        body = to_json(dict(notice.body), inf_nan_mode="null")
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": notice.id}
        if hook.secret_file:
            try:
                headers["X-Doorbell-Signature"] = self._signature(Path(hook.secret_file), body)
            except OSError:
                return NoticeDelivered(notice.id, ok=False, detail="the key of the signature cannot be read")
        try:
            with self._client.stream("POST", hook.url, content=body, headers=headers) as response:
                return _judge(notice.id, response.status_code, self._read(response))
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            return NoticeDelivered(notice.id, ok=False, retryable=False, detail="the hook's url is none")
        except httpx2.HTTPError as error:
            return NoticeDelivered(notice.id, ok=False, detail=type(error).__name__)

    def _signature(self, secret_file: Path, body: bytes) -> str:
        at = int(self._unix_s())
        key = secret_file.read_bytes().strip()
        return f"t={at},v1={hmac.new(key, b'%d.%b' % (at, body), hashlib.sha256).hexdigest()}"

    def _read(self, response: httpx2.Response) -> bytes:
        """The answer as far as it matters: one that is long or dribbles in is judged by what came of it."""
        give_up = time.monotonic() + self._timeout_s
        answer = b""
        for part in response.iter_bytes():
            answer += part
            if len(answer) > MAX_ANSWER_BYTES or time.monotonic() > give_up:
                break
        return answer


def _judge(notice: str, status: int, answer: bytes) -> NoticeDelivered:
    if not 200 <= status < 300:
        retryable = status in _AGAIN_LATER or status >= 500
        return NoticeDelivered(notice, ok=False, retryable=retryable, detail=f"HTTP {status}")
    name, code = _error_code(answer)
    if code is None:
        return NoticeDelivered(notice, ok=True)
    return NoticeDelivered(notice, ok=False, retryable=code not in _WRONG_FOR_GOOD, detail=f"{name} {code}")


def _error_code(answer: bytes) -> tuple[str, int | None]:
    """The error that a chat reports with HTTP 200: ``errcode`` (WeCom, DingTalk) or ``code`` (Feishu)."""
    try:
        found: Any = json.loads(answer)
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(found, dict):
        return "", None
    errcode, code = found.get("errcode", 0), found.get("code", 0)
    if type(errcode) is int and errcode != 0:
        return "errcode", errcode
    if type(code) is int and code not in _CODES_OF_SUCCESS:
        return "code", code
    return "", None


class _Lanes:
    """What waits, a lane for each hook; a hook whose notice is being sent waits its turn behind the others."""

    def __init__(self, max_waiting: int) -> None:
        self._room = max_waiting
        self._lanes: dict[str, deque[Job]] = {}
        self._free: deque[str] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, job: Job) -> bool:
        """Add a job; False if there is no room."""
        hook = job[1].id
        with self._changed:
            if self._room == 0 or self._closed:
                return False
            self._room -= 1
            if hook not in self._lanes:
                self._lanes[hook] = deque()
                self._free.append(hook)
                self._changed.notify()
            self._lanes[hook].append(job)
            return True

    def take(self) -> Job | None:
        """Wait for the next job of a hook that is not busy; None once closed."""
        with self._changed:
            while not self._free and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            self._room += 1
            return self._lanes[self._free.popleft()].popleft()

    def done(self, hook: str) -> None:
        """The hook is free for its next job."""
        with self._changed:
            if self._lanes[hook]:
                self._free.append(hook)
                self._changed.notify()
            else:
                del self._lanes[hook]

    def close(self) -> None:
        """Give out nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
