"""Erasure with real processes: afterwards no byte of the database, of its exports and of the logs tells of them.

Must show 5 of identity and privacy: on SQLite and on PostgreSQL, while the relay runs and another alarm is open.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorbell.link import Delivery, LinkUp
from tests.postgres import PostgresServer
from tests.relay.search import found
from tests.system.link_probe import LinkProbe, fast_settings
from tests.system.processes import run_to_end, until
from tests.system.stranger import Stranger
from tests.system.town import COMMUNITY, FIRST, HOUSEHOLD, OTHER_PANEL, PANEL, Town

pytestmark = [pytest.mark.system, pytest.mark.slow]

LIU = ("柳奶奶", "西湖山小区 3栋502")
PENG = ("彭小平", "+8613912345678")
OTHERS = ("张建国", "陈爷爷", "西湖山小区 1栋203")
NOTE = "彭小平陪柳奶奶去了医院"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of its own: on the one that all tests share others have written names, as earlier schemas kept them."""
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    database = None
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        database = server.url(server.database())
    town = Town(tmp_path, "embedded", database=database)
    register = tmp_path / "register.toml"
    named = register.read_text("utf-8").replace('name = "彭小平"', 'name = "彭小平"\nphone = "+8613912345678"')
    register.write_text(named, "utf-8")
    with town:
        yield town


def test_after_an_erasure_no_byte_tells_of_them(town: Town, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    a_life(town)
    assert told_by_key(town, (*LIU, *PENG)) == {*LIU, *PENG}
    for subject in ("peng", HOUSEHOLD):
        assert subject in town.ask_relay("privacy", "erase", subject, "--dry-run")
        erased = town.ask_relay("privacy", "erase", subject, "--confirm", subject, "--wait", "20")
        assert "没有中继" not in erased
    gone = (*LIU, *PENG)
    assert told_by_key(town, (*gone, *OTHERS)) == {*OTHERS}
    assert said_by_broker(town, (*gone, "张建国", "陈爷爷")) == {"陈爷爷"}
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "journal.jsonl").write_text(town.ask_relay("journal", "--format", "jsonl"), "utf-8")
    (exports / "journal.csv").write_text(town.ask_relay("journal", "--format", "csv"), "utf-8")
    town.ask_relay("store", "backup", str(exports / "backup.sqlite3"))
    searched = [exports, *tmp_path.glob("*.log"), *tmp_path.glob("relay*sqlite3*"), *tmp_path.glob("relay-*")]
    if not isinstance(town.database, Path):
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.connect("postgres") as connection:
            connection.execute("CHECKPOINT")
        searched.append(server.folder)
        dump = ["pg_dump", "--no-owner", town.database]
        (exports / "dump.sql").write_text(run_to_end(dump), "utf-8")
    assert len(searched) > 3
    assert found((*gone, NOTE), searched) == []
    the_open_alarm_goes_on(town)
    town.relay.stop()
    town.ask_relay("store", "verify")
    town.ask_relay("audit", "verify")
    assert found((*gone, NOTE), searched) == []


def a_life(town: Town) -> None:
    """An alarm that is helped, one that the office closes with a note, rubbish with names, and an alarm of others."""
    town.panel.press("help")
    until(lambda: FIRST in [bell for line in town.lines_of("sounding") for bell in line.data["bells"]], "it rings")
    town.help_arrives(town.first)
    town.panel.press("help")
    until(lambda: town.open_alarms() == 1, "the second alarm is open")
    (alarm,) = town.store.alarms()
    town.ask_relay("alarms", "close", alarm.id, "--outcome", "hospital", "--note", NOTE, "--yes", "--wait", "20")
    assert NOTE in town.ask_relay("alarms", "show", alarm.id)
    until(lambda: town.open_alarms() == 0, "it is closed")
    town.await_rest()
    press = {
        "id": str(uuid.uuid4()),
        "type": "help",
        "at": "2026-11-23T06:43:00.120Z",
        "age_ms": 5,
        "clock": "unsynced",
    }
    with Stranger(town.broker.port) as stranger:
        for word in (*LIU, *PENG):
            stranger.say(f"doorbell/v1/{COMMUNITY}/{PANEL}/event", word.encode())
            stranger.say(f"doorbell/v1/{COMMUNITY}/{PANEL}/event", json.dumps({"id": word}).encode())
        stranger.say(f"doorbell/v1/{COMMUNITY}/{OTHER_PANEL}/event", json.dumps(press).encode())
    until(lambda: town.open_alarms() == 1, "the alarm of others is open")
    until(lambda: len(town.store.rejected()) >= 8, "the rubbish is kept")


def told_by_key(town: Town, words: tuple[str, ...]) -> set[str]:
    """Which words can be read by whoever has the key."""
    store = town.store
    told = [repr(store.load()), repr(store.rejected()), repr(list(store.journal())), repr(store.notices())]
    told += [store.note_of(alarm.id) for alarm in store.alarms(open_only=False)]
    return {word for word in words if any(word in text for text in told)}


def said_by_broker(town: Town, words: tuple[str, ...]) -> set[str]:
    """Which words are in what the broker shows to whoever comes new."""
    probe = LinkProbe(fast_settings(town.broker.port), f"probe-{uuid.uuid4()}", [("doorbell/v1/+/+/desired", 1)])
    try:
        probe.expect(LinkUp)
        payloads: dict[str, str] = {}
        while len(payloads) < 5:
            delivery = probe.expect(Delivery)
            payloads[delivery.topic] = delivery.payload.decode()
            probe.link.ack(delivery)
    finally:
        probe.link.stop()
    return {word for word in words if any(word in payload for payload in payloads.values())}


def the_open_alarm_goes_on(town: Town) -> None:
    """It was open all the time, rises through its steps, and is closed as ever."""
    (alarm,) = town.store.alarms()
    assert alarm.household == "chen"
    assert alarm.deadline is not None
    town.ask_relay("alarms", "close", alarm.id, "--outcome", "helped", "--yes", "--wait", "20")
    until(lambda: not town.store.alarms(), "it is closed")
