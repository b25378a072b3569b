"""The relay's real loop: what it does while the database refuses."""

import json
from collections.abc import Iterator
from functools import partial

import pytest

from doorbell.logs import configure_logs
from relay.figures import Figures
from relay.inbox import Inbox
from relay.loop import run_loop
from relay.ports import Batch, StoreError
from tests.relay.doubles import House, TracingStore


class _Link:
    def alive(self) -> bool:
        """Always."""
        return True


def _refuse(self: TracingStore, batch: Batch) -> None:
    raise StoreError("SQLITE_FULL: database or disk is full", retryable=True)


def test_a_database_that_refuses_is_told_at_once_and_proves_no_life(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line about it waited for the end of the turn, which is the end of the trouble."""
    house = House()
    inbox = Inbox()
    inbox.put(house.event("button-liu", "help", 1))
    monkeypatch.setattr(TracingStore, "commit", _refuse)
    configure_logs("json", "info")
    told: list[str] = []
    answers: Iterator[bool] = iter([False, True])

    def stopping() -> bool:
        told.extend(json.loads(line)["event"] for line in capsys.readouterr().err.splitlines())
        return next(answers)

    lives: list[None] = []
    figures = Figures()
    beat = partial(lives.append, None)
    assert run_loop(house.relay, inbox, stopping=stopping, links=_Link(), alive=beat, figures=figures)
    assert figures.store_errors == 1
    assert figures.failing_since_s is not None
    assert told == ["store.failed"]
    assert lives == []
    assert house.trace == [], "nothing is acknowledged or published that is not committed"
