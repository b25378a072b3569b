"""The codec: every limit, whom it blames and how, and that nothing on earth makes it raise anything else."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from doorbell.errors import DoorbellBug, PeerError
from doorbell.wire import (
    MAX_PAYLOAD_BYTES,
    MAX_RINGS,
    Desired,
    Event,
    Presence,
    Reported,
    WireModel,
    decode,
    decode_presence,
    encode,
    format_time,
)
from doorbell.wire.messages import MAX_PEERS, MAX_RINGING, MAX_STORED

ID = "01938f3c-7d1e-4b6a-9c55-1a2f4ad3b6e1"
AT = "2026-11-23T06:43:00.120Z"
EVENT: dict[str, Any] = {"id": ID, "type": "help", "at": AT, "age_ms": 35, "clock": "synced"}
RING: dict[str, Any] = {
    "alarm": ID,
    "kind": "help",
    "from": "a",
    "label": "柳奶奶",
    "raised_at": AT,
    "stage": "ringing",
}
DESIRED: dict[str, Any] = {"rev": 1, "rings": [RING], "panel": {"alarm": {"id": ID, "stage": "received", "since": AT}}}
REPORTED: dict[str, Any] = {"rev": 1, "firmware": "1", "clock": "synced", "health": {}}
BASES: dict[type[WireModel], dict[str, Any]] = {Event: EVENT, Desired: DESIRED, Reported: REPORTED}


def put(base: dict[str, Any], path: str, value: object) -> bytes:
    """The base with one value changed; ``rings.0.label`` goes down."""
    body = json.loads(json.dumps(base))
    *parents, last = path.split(".")
    place = body
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[last] = value
    return json.dumps(body).encode()


def blame(model: type[WireModel], payload: bytes) -> PeerError:
    with pytest.raises(PeerError) as caught:
        decode(model, payload)
    return caught.value


# ---------------------------------------------------------------------------------------------------------------------
# Limits

REV_LIMITS = ([0, 2**53 - 1], [-1, 2**53, None, "x"])
ID_LIMITS = ([ID], [ID.upper(), ID + "\n", ID[:-1], "", 5, None])
TIME_LIMITS = (
    [
        "1970-01-01T00:00:00Z",
        "2199-12-31T23:59:59.999Z",
        "2026-11-23T14:43:00.120+08:00",
        "1969-12-31T20:00:00-04:00",
    ],
    [
        "1969-12-31T23:59:59.999Z",
        "2200-01-01T00:00:00Z",
        "2199-12-31T23:59:59.999-10:00",
        "1970-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-11-23T06:43:00",
        "2026-11-23",
        "2026-02-30T00:00:00Z",
        "yesterday",
        1e300,
        10**30,
        True,
        None,
    ],
)
LABEL_LIMITS = (["柳", "柳" * 40], ["", "柳" * 41, 5])
LIMITS: list[tuple[type[WireModel], str, list[Any], list[Any]]] = [
    (Event, "id", *ID_LIMITS),
    (Event, "type", ["help", "fault"], []),
    (Event, "at", *TIME_LIMITS),
    (Event, "age_ms", [0, 315_360_000_000, "35", 35.0], [-1, 315_360_000_001, 35.5, None, 10**400]),
    (Event, "clock", ["synced", "unsynced"], ["ntp", None]),
    (Event, "alarm", [None, ID], ID_LIMITS[1][:-1]),
    (Event, "seq", [None, 0, 2**53 - 1], [-1, 2**53]),
    (Event, "detail", [None, {}, {"a": [{"b": 1}]}], [[], "x", 1]),
    (Desired, "rev", *REV_LIMITS),
    (Desired, "stored", [[], [ID] * MAX_STORED], [[ID] * (MAX_STORED + 1), ["x"], None, ID]),
    (Desired, "rings", [[], [RING] * MAX_RINGS], [[RING] * (MAX_RINGS + 1), [None], {}]),
    (
        Desired,
        "peers",
        [[], ["a" * 63] * MAX_PEERS],
        [["a"] * (MAX_PEERS + 1), ["a" * 64], ["A"], ["-a"], ["a\n"], [""]],
    ),
    (Desired, "settings.volume", [None, 0, 100], [-1, 101, "loud"]),
    (Desired, "settings.language", [None, "zh-CN", "x" * 16], ["x" * 17, 5]),
    (Desired, "settings.report_interval_s", [None, 5, 3600], [4, 3601]),
    (Desired, "panel.coverage", ["covered", "thin", "uncovered"], ["maybe", None]),
    (Desired, "panel.alarm.stage", ["received", "ringing", "accepted", "arrived"], ["coming", None]),
    (Desired, "panel.alarm.who", [None, *LABEL_LIMITS[0]], LABEL_LIMITS[1]),
    (Desired, "panel.alarm.since", *TIME_LIMITS),
    (Desired, "rings.0.label", *LABEL_LIMITS),
    (Desired, "rings.0.place", ["", "柳" * 60], ["柳" * 61, None]),
    (Desired, "rings.0.kind", ["help", "checkin", "technical", "request", "test"], ["fire", None]),
    (Desired, "rings.0.from", ["a", "9-b"], ["", "a/b", "a.b", "a+", None]),
    (Desired, "rings.0.presses", [1, 1_000_000], [0, 1_000_001, None]),
    (Desired, "rings.0.mine", [True, False], [None, "x"]),
    (Reported, "rev", *REV_LIMITS),
    (Reported, "ringing", [[], [ID] * MAX_RINGING], [[ID] * (MAX_RINGING + 1), ["x"]]),
    (Reported, "firmware", ["", "x" * 40], ["x" * 41, None]),
    (Reported, "outbox", [0], [-1]),
    (Reported, "uptime_s", [0], [-1]),
    (Reported, "next_in_s", [1, 86_400], [0, 86_401]),
    (Reported, "health.cpu_c", [None, -40.5, 85], ["hot", math.nan, math.inf]),
    (Reported, "health.battery_pct", [None, 0], ["full"]),
]


def each(column: int) -> list[Any]:
    return [
        pytest.param(model, path, value, id=f"{model.__name__}.{path}={str(value)[:24]}-{number}")
        for model, path, good, bad in LIMITS
        for number, value in enumerate((good, bad)[column])
    ]


def base_with_parents(model: type[WireModel], path: str) -> dict[str, Any]:
    base: dict[str, Any] = json.loads(json.dumps(BASES[model]))
    if path.startswith("settings."):
        base["settings"] = {}
    return base


@pytest.mark.parametrize(("model", "path", "value"), each(0))
def test_within_the_limit(model: type[WireModel], path: str, value: object) -> None:
    message = decode(model, put(base_with_parents(model, path), path, value))
    assert decode(model, encode(message)) == message


@pytest.mark.parametrize(("model", "path", "value"), each(1))
def test_beyond_the_limit_the_sender_is_blamed(model: type[WireModel], path: str, value: object) -> None:
    error = blame(model, put(base_with_parents(model, path), path, value))
    assert error.reason in ("invalid", "not_json")
    if error.reason == "invalid":
        assert path.split(".", maxsplit=1)[0] in error.detail
        assert len(error.detail) <= 500


@pytest.mark.parametrize(
    ("model", "path"),
    [(model, path) for model, base in BASES.items() for path in base if path not in ("rings", "panel", "health")],
)
def test_what_must_be_there(model: type[WireModel], path: str) -> None:
    body = {key: value for key, value in BASES[model].items() if key != path}
    assert blame(model, json.dumps(body).encode()).reason == "invalid"


# ---------------------------------------------------------------------------------------------------------------------
# Blame


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe{}", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b'{"id":', "not_json"),
        (b'{"id": "\xed\xa0\x80"}', "not_json"),
        (b'{"id": "\\ud800"}', "not_json"),
        (b'{"a":' * 1000, "not_json"),
        (b"[" * MAX_PAYLOAD_BYTES, "not_json"),
        (b"9" * 8000, "not_json"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b"NaN", "invalid"),
        (b'"help"', "invalid"),
        (b"{}", "invalid"),
        (b"{}" + b" " * MAX_PAYLOAD_BYTES, "too_large"),
        (put(EVENT, "type", "sing"), "unknown_type"),
        (put(EVENT, "type", None), "unknown_type"),
        (put({**EVENT, "age_ms": -1}, "type", "sing"), "invalid"),
        (put(DESIRED, "rings.0.kind", "sing"), "invalid"),
    ],
    ids=lambda value: str(value[:16]) if isinstance(value, bytes) else "",
)
def test_blame(payload: bytes, reason: str) -> None:
    model = Desired if b"rings" in payload else Event
    assert blame(model, payload).reason == reason


def test_a_payload_of_exactly_8_kib_is_read() -> None:
    payload = json.dumps(EVENT).encode()
    assert decode(Event, payload.ljust(MAX_PAYLOAD_BYTES)).id == ID
    refusal = blame(Event, payload.ljust(MAX_PAYLOAD_BYTES + 1))
    assert (refusal.reason, refusal.detail) == ("too_large", "at least 8193 bytes; 8192 are allowed")


def test_a_message_that_is_too_large_is_our_own_bug() -> None:
    event = Event.model_validate({**EVENT, "detail": {"text": "x" * MAX_PAYLOAD_BYTES}})
    with pytest.raises(DoorbellBug):
        encode(event)


def test_nan_in_a_detail_is_read_as_null_at_any_depth() -> None:
    payload = json.dumps({**EVENT, "detail": {"a": math.nan, "b": [{"c": -math.inf, "d": 1.5}]}}).encode()
    event = decode(Event, payload)
    assert event.detail == {"a": None, "b": [{"c": None, "d": 1.5}]}
    assert decode(Event, encode(event)) == event


def test_times_are_utc_in_whole_milliseconds() -> None:
    event = decode(Event, put(EVENT, "at", "2026-11-23T14:43:00.120987+08:00"))
    assert event.at == datetime(2026, 11, 23, 6, 43, 0, 120_000, tzinfo=UTC)
    assert b'"at":"2026-11-23T06:43:00.120Z"' in encode(event)
    assert format_time(datetime(2026, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)) == "2025-12-31T23:59:59.999Z"


def test_messages_are_frozen() -> None:
    event = decode(Event, json.dumps(EVENT).encode())
    with pytest.raises(ValidationError):
        event.age_ms = 3  # type: ignore[misc]


@pytest.mark.parametrize("word", list(Presence))
def test_presence_is_plain_text(word: Presence) -> None:
    assert decode_presence(word.value.encode()) is word


@pytest.mark.parametrize("payload", [b"", b"ONLINE", b'"online"', b"online\n", b"\xff", "在线".encode(), b"x" * 10**6])
def test_any_other_presence_is_the_senders_fault(payload: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        decode_presence(payload)
    assert caught.value.reason == "invalid"
    assert len(caught.value.detail) < 200


# ---------------------------------------------------------------------------------------------------------------------
# Chance

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**40)
    | st.floats()
    | st.text()
    | st.sampled_from([ID, AT, "help", "synced", "online", "ringing", "\ud800", "\x00", "0001-01-01T00:00:00+23:59"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
REASONS = {"too_large", "not_json", "unknown_type", "invalid"}


def hold_to_it(model: type[WireModel], payload: bytes) -> None:
    """Either a message that can be written and read again, or the sender's fault with a known reason."""
    message, reason = None, ""
    try:
        message = decode(model, payload)
    except PeerError as error:
        reason = error.reason
    if message is None:
        assert reason in REASONS
    else:
        assert decode(model, encode(message)) == message


@given(payload=st.binary(max_size=300), model=st.sampled_from(list(BASES)))
def test_any_bytes(payload: bytes, model: type[WireModel]) -> None:
    hold_to_it(model, payload)


@given(body=JSON, model=st.sampled_from(list(BASES)))
def test_any_json(body: object, model: type[WireModel]) -> None:
    hold_to_it(model, json.dumps(body).encode())


@given(data=st.data(), model=st.sampled_from(list(BASES)))
def test_a_message_with_anything_in_some_of_its_fields(data: st.DataObject, model: type[WireModel]) -> None:
    fields = data.draw(st.sets(st.sampled_from(sorted(model.model_fields)), min_size=1, max_size=3))
    hold_to_it(model, json.dumps({**BASES[model], **{field: data.draw(JSON) for field in fields}}).encode())


@given(data=st.data(), model=st.sampled_from(list(BASES)), cut=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_message_that_was_damaged_on_its_way(
    data: st.DataObject, model: type[WireModel], cut: int, byte: int
) -> None:
    payload = bytearray(json.dumps(BASES[model]).encode())
    payload[cut % len(payload)] = byte
    hold_to_it(model, bytes(payload))
    hold_to_it(model, bytes(payload[:cut]))


@pytest.mark.parametrize("depth", [10, 100, 150, 190, 198, 199, 200, 250, 1000])
def test_a_detail_of_any_depth_is_refused_or_can_be_written_again(depth: int) -> None:
    hold_to_it(Event, json.dumps(EVENT)[:-1].encode() + b', "detail": ' + b'{"a":' * depth + b"1" + b"}" * (depth + 1))
