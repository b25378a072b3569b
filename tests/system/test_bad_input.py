"""Rubbish, strangers, lies and a full disk, against real processes: refused with a reason, kept, and nothing stops.

Must show 6 of the first ring. What each broker does by itself is said here too: both cut the connection of a client
whose topic is no UTF-8 or holds a wildcard; the embedded one also for a payload over 1 MiB and for a space in a topic.
"""

import json
import resource
import threading
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doorbell.wire import format_time
from relay.adapters.store_rows import MAX_REJECTED
from relay.core.alarm import AlarmStage
from relay.intake import LOGGED_A_MINUTE, ids_of
from tests.system.brokers import BROKERS
from tests.system.processes import GONE, WITHIN_S, until
from tests.system.stranger import Stranger
from tests.system.town import COMMUNITY, FIRST, OTHER_BELL, PANEL, SECOND, Town

pytestmark = [pytest.mark.slow, pytest.mark.system]

RING_WITHIN_S = 2.0
FLOOD = 10_000
MIB = 1024 * 1024


def topic(device: str, channel: str = "event", community: str = COMMUNITY) -> str:
    """A topic of the wire contract."""
    return f"doorbell/v1/{community}/{device}/{channel}"


def event(kind: str, **fields: Any) -> bytes:
    """A well-formed event that happened now."""
    at = format_time(datetime.now(UTC))
    base = {"id": str(uuid.uuid4()), "type": kind, "at": at, "age_ms": 0, "clock": "synced"}
    return json.dumps(base | fields).encode()


@dataclass(frozen=True, slots=True)
class Rubbish:
    """A message, why the relay refuses it, and the brokers that end the connection for it instead."""

    topic: str | bytes
    payload: bytes
    reason: str
    retain: bool = False
    cut_by: tuple[str, ...] = ()


RUBBISH = [
    Rubbish(topic(PANEL), b'{"id": "4f7c', "not_json"),
    Rubbish(topic(PANEL), b"", "not_json"),
    Rubbish(topic(PANEL), b"\xff\xfe\x00", "not_json"),
    Rubbish(topic(PANEL), b"[" * 4_000, "not_json"),
    Rubbish(topic(PANEL), b"[]", "invalid"),
    Rubbish(topic(PANEL), event("help", id=7), "invalid"),
    Rubbish(topic(PANEL), event("help", age_ms="soon"), "invalid"),
    Rubbish(topic(PANEL), event("help", at="2026-11-23T06:43:00"), "invalid"),
    Rubbish(topic(PANEL), event("explode"), "unknown_type"),
    Rubbish(topic(PANEL), event("fault", detail={"text": "x" * 9_000}), "too_large"),
    Rubbish(topic(PANEL), b"x" * MIB, "too_large", cut_by=("embedded",)),
    Rubbish(topic(PANEL), b"y" * (MIB - 1_000), "too_large"),
    Rubbish(topic("bell-nobody"), event("accept"), "unknown_device"),
    Rubbish(topic(PANEL, community="elsewhere"), event("help"), "wrong_community"),
    Rubbish(topic(SECOND), event("help"), "wrong_role"),
    Rubbish(topic(PANEL), event("accept"), "wrong_role"),
    Rubbish(topic(SECOND, "reported"), b'{"rev": ' + b"1" * 9_000 + b"}", "too_large", retain=True),
    Rubbish(topic(SECOND, "reported"), b'{"rev": "many"}', "invalid", retain=True),
    Rubbish(topic(SECOND, "online"), b"perhaps", "invalid", retain=True),
    Rubbish(topic("bell-nobody", "reported"), b'{"rev": 1, "firmware": "1", "clock": "synced"}', "unknown_device"),
    Rubbish(topic("PANEL"), event("help"), "bad_topic"),
    Rubbish(topic("门铃"), event("help"), "bad_topic"),
    Rubbish(topic("a" * 60_000), event("help"), "bad_topic"),
    Rubbish(topic(""), event("help"), "bad_topic"),
    Rubbish(topic("panel liu"), event("help"), "bad_topic", cut_by=("embedded",)),
    Rubbish(b"doorbell/v1/xihushan/panel-\xff\xfe/event", event("help"), "bad_topic", cut_by=BROKERS),
    Rubbish(topic("+"), event("help"), "bad_topic", cut_by=BROKERS),
]


@pytest.mark.parametrize("kind", BROKERS)
def test_rubbish_is_refused_with_a_reason_and_kept_while_a_press_rings_at_once(tmp_path: Path, kind: str) -> None:
    """Every kind of rubbish once, then 10,000 pieces of it with a press in the middle; nothing restarts."""
    with Town(tmp_path, kind) as town:
        pids = {program.name: program.pid for program in (town.relay, *town.devices)}
        assert_refused(town)
        half = threading.Event()
        flood = threading.Thread(target=send_flood, args=(town.broker.port, half), name="flood")
        flood.start()
        assert half.wait(WITHIN_S)
        assert press_to_ring_s(town) < RING_WITHIN_S
        assert_no_stranger_answers(town)
        town.help_arrives(town.first)
        flood.join()
        until(lambda: kept(town)["not_json"] == MAX_REJECTED, "the flood is kept, as much as there is room for")
        assert {program.name: program.pid for program in (town.relay, *town.devices)} == pids, town.last_words()
        assert_overruled(town)


def assert_refused(town: Town) -> None:
    """Each piece of rubbish is kept with its reason, and the first are in the log."""
    expected: Counter[tuple[str, str]] = Counter()
    for piece in RUBBISH:
        with Stranger(town.broker.port) as stranger:
            taken = stranger.say(piece.topic, piece.payload, retain=piece.retain)
        assert taken == (town.kind not in piece.cut_by), f"{piece.topic!r}: {taken}"
        if taken and isinstance(piece.topic, str):
            expected[piece.topic[:1000], piece.reason] += 1

    def told() -> list[dict[str, Any]]:
        rows = json.loads(town.ask_relay("rejected", "list", "--json", "--limit", "100"))
        return rows if len(rows) >= expected.total() else []

    rows = until(told, f"{expected.total()} messages are kept")
    assert Counter((row["topic"], row["reason"]) for row in rows) == expected
    logged = [line for line in town.relay.lines() if line["event"] == "message.rejected"]
    assert len(logged) == LOGGED_A_MINUTE
    told_by_ids = {(ids_of(topic), reason) for topic, reason in expected}
    assert all((line["topic"], line["reason"]) in told_by_ids and "detail" not in line for line in logged[:10])


def send_flood(port: int, half: threading.Event) -> None:
    """As fast as the broker takes it; ``half`` is set in the middle.

    Each piece comes twice: in the panel's name, which is soon over its limit, and in one of fifty others'.
    """
    with Stranger(port) as stranger:
        for part in range(2):
            numbers = range(part * FLOOD // 2, (part + 1) * FLOOD // 2)
            said = ((topic(name), b"rubbish %d" % n) for n in numbers for name in (PANEL, f"panel-{n % 50}"))
            assert stranger.say_all(said) == FLOOD
            half.set()


def kept(town: Town) -> Counter[str]:
    """The rejected messages by their reason."""
    return Counter(row.reason for row in town.store.rejected(2 * MAX_REJECTED))


def press_to_ring_s(town: Town) -> float:
    """Press, wait for the sound; the seconds between by the devices' own clocks."""
    before = len(town.first.sightings)
    pressed = datetime.now(UTC)
    town.panel.press("help")

    def rang_at() -> datetime | None:
        return next((one.at for one in town.first.sightings[before:] if one.sounding), None)

    return (until(rang_at, "the first bell sounds") - pressed).total_seconds()


def assert_no_stranger_answers(town: Town) -> None:
    """Who was not called cannot take, decline or finish an alarm; an answer to no alarm is kept, and nothing more."""
    alarm = until(lambda: town.lines_of("raised"), "the alarm is raised")[0].alarm
    with Stranger(town.broker.port) as stranger:
        for word in ("accept", "decline", "done"):
            assert stranger.say(topic(OTHER_BELL), event(word, alarm=alarm))
        assert stranger.say(topic(SECOND), event("accept", alarm=str(uuid.uuid4())))
        assert stranger.say(topic(SECOND), event("accept"))
    ignored = until(lambda: [*town.lines_of("ignored"), *town.lines_of("early")][4:], "the answers are in the journal")
    assert ignored
    reasons = Counter(
        (line.device, line.data["reason"]) for line in town.journal() if line.type in ("ignored", "early")
    )
    assert reasons == {(OTHER_BELL, "not_called"): 3, (SECOND, "early"): 1, (SECOND, "no_alarm_named"): 1}
    assert [one.stage for one in town.store.alarms()] == [AlarmStage.RINGING]
    assert town.first.now.sounding == (alarm,)
    assert not {one.stage for one in town.panel.sightings} & {"coming", "arrived", "closed"}


def assert_overruled(town: Town) -> None:
    """Rubbish that is retained where a bell looks for its orders is refused, and the relay's word comes back."""
    with Stranger(town.broker.port) as stranger:
        assert stranger.say(topic(FIRST, "desired"), b'{"rev": 4e99, "rings": "all"}', retain=True)
    until(lambda: town.first.logged("desired.refused"), "the bell refuses it")
    town.kill("first")
    town.restart("first")
    until(lambda: town.first.logged("desired.refused"), "the bell finds it again")
    town.await_rest()
    assert press_to_ring_s(town) < RING_WITHIN_S


@pytest.mark.parametrize("kind", BROKERS)
def test_while_the_disk_is_full_no_press_is_acknowledged_and_afterwards_all_ring(tmp_path: Path, kind: str) -> None:
    """The relay's files may not grow for a while: its panel says so, keeps both presses, and they count in the end."""
    with Town(tmp_path, kind) as town:
        pid = town.relay.pid
        assert pid is not None
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        log_bytes, wal_bytes = (file.stat().st_size for file in (town.relay.log, Path(f"{town.database}-wal")))
        assert log_bytes + 10_000 < wal_bytes, "the limit must leave room for the log"
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (wal_bytes, limits[1]))
        for _ in range(2):
            town.panel.press("help")
        until(lambda: town.relay.logged("store.failed"), "the relay sees that it cannot write")
        until(lambda: town.panel.now.stage == "unreachable", "the panel says that it reaches nobody yet")
        assert not town.lines_of("raised")
        assert {one.stage for one in town.panel.sightings if one is not GONE} == {"idle", "heard", "unreachable"}
        assert town.panel.now.outbox == 2
        assert town.first.now.sounding, "the panel has called its neighbours itself meanwhile"
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        until(lambda: town.relay.logged("store.recovered"), "the relay writes when there is room again")
        until(lambda: town.panel.now.stage == "ringing" and town.first.now.sounding, "and its own ring goes on")
        town.help_arrives(town.first)
        counts = Counter(line.type for line in town.journal() if line.alarm)
        assert (counts["raised"], counts["pressed_again"], counts["accepted"], counts["closed"]) == (1, 1, 1, 1)
        assert town.relay.pid == pid
