"""Whatever happens to a relay, its log has ids and no word about anybody, also where something goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from doorbell.link import LinkDown, LinkUp
from relay.adapters.store import SqlStore
from relay.core.alarm import Outcome
from relay.core.register import Register
from relay.ports import StoreError
from tests.relay.care import change
from tests.relay.doubles import OFFICE, PANEL, PENG, WANG, House, neighbourhood, uid
from tests.relay.search import forms

NOTE = "彭小平陪她去医院了"


def words_of(register: Register) -> Iterator[str]:
    """Every word in a register that tells of somebody."""
    for home in register.households.values():
        yield from (home.label, home.place)
    for person in register.people.values():
        yield from (person.name, person.phone)
    for group in register.groups.values():
        yield group.name
    for hook in register.hooks.values():
        yield hook.url


def told(text: str, words: Iterator[str]) -> list[str]:
    return [word for word in words if word and any(form in text.encode() for form in forms(word) if len(form) > 3)]


def test_the_search_finds_a_name_in_a_log() -> None:
    assert told("event=x who=柳奶奶", words_of(neighbourhood())) == ["柳奶奶"]
    assert told(r'{"who": "\u67f3\u5976\u5976"}', words_of(neighbourhood())) == ["柳奶奶"]


def test_a_story_with_everything_that_goes_wrong_names_nobody(
    capsys: pytest.CaptureFixture[str], allow_error_logs: list[dict[str, Any]]
) -> None:
    house = House()
    words = [*words_of(neighbourhood()), NOTE]
    house.press(1)
    house.hear(house.report(PENG, 1))
    house.advance(60_000)
    house.hear(house.event(PENG, "accept", 2, alarm=1))
    for word in words:
        for topic in (f"doorbell/v1/{word}/event", f"doorbell/v1/xihushan/{PENG}/event", word, f"x/{PENG}/online"):
            house.hear(house.delivery(topic, word), house.delivery(topic, {"id": word, "type": word}))
        house.hear(house.delivery("online", word, device=PENG), house.delivery("reported", word, device=WANG))
        house.hear(house.event(PENG, "accept", 3, alarm=77), house.event("nobody", "help", 4))
    house.press(5, device="button-chen")
    house.advance(600_000)
    for number in range(len(house.notifier.sent)):
        house.hear(house.outcome(number))
    house.hear(LinkDown("gone"), LinkUp(2))
    house.store.fail_commits = 1
    with pytest.raises(StoreError) as refused:
        house.press(6)
    house.boot()
    house.store.add_command(uid(1), Outcome.HOSPITAL, NOTE, "cli:office")
    house.advance(5_000)
    register = neighbourhood()
    house.store.replace_register(neighbourhood(without=[OFFICE, PANEL]))
    house.advance(5_000)
    house.store.replace_register(register)
    house.advance(100_000)
    log = capsys.readouterr().out + str(refused.value)
    assert "message.rejected" in log
    assert "alarm.raised" in log
    assert "register.loaded" in log
    assert told(log, iter(words)) == []


def test_a_spoilt_database_names_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], allow_error_logs: list[dict[str, Any]]
) -> None:
    """What a database complains of has no row's content."""
    with closing(SqlStore.open(tmp_path / "relay.sqlite3", exclusive=True)) as store:
        store.replace_register(neighbourhood())
        complaints = []
        for statement in (
            "INSERT INTO person SELECT * FROM person",
            "UPDATE person SET community = '彭小平'",
            "INSERT INTO household (id) VALUES ('柳奶奶')",
        ):
            with pytest.raises(StoreError) as refused, store._errors():
                change(store, statement)
            complaints.append(str(refused.value))
        change(store, "UPDATE person SET name = '彭小平'")
        assert store.load().register.people["peng"].name == "peng"
        complaints += [str(finding) for finding in store.verify().findings]
    assert len(complaints) > 3
    assert told(capsys.readouterr().out + "".join(complaints), words_of(neighbourhood())) == []
