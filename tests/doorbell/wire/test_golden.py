"""Messages as they are on the wire in version 1: every release reads them, and writes the same bytes."""

import json
from pathlib import Path

import pytest

from doorbell.wire import (
    MAX_PAYLOAD_BYTES,
    MAX_RINGS,
    STORED_COUNT,
    Desired,
    Event,
    Reported,
    WireModel,
    decode,
    encode,
)
from doorbell.wire.messages import MAX_PEERS

GOLDEN = Path(__file__).parents[2] / "golden" / "v1"
FILES = sorted(GOLDEN.glob("*.json"))
MODELS: dict[str, type[WireModel]] = {"event": Event, "desired": Desired, "reported": Reported}


def model_of(path: Path) -> type[WireModel]:
    return MODELS[path.name.partition(".")[0]]


def minified(path: Path) -> bytes:
    body = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def test_every_message_has_golden_files() -> None:
    assert {path.name.partition(".")[0] for path in FILES} == set(MODELS)


LATER = {
    "reported.first.json": {"faults": 1, "health": 10},
    "reported.fullest.json": {"faults": 1, "health": 10},
    "reported.wellness.json": {"health": 1},
    "desired.bell.json": {"cert": 1},
    "desired.fullest.json": {"cert": 1},
    "desired.panel.json": {"cert": 1},
    "desired.silence.json": {"cert": 1},
}
"""How many fields each was written without: by a release that did not know them."""


@pytest.mark.parametrize("path", [p for p in FILES if ".contract." not in p.name], ids=lambda p: p.stem)
def test_what_is_read_is_written_again_to_the_byte_and_later_fields_as_null(path: Path) -> None:
    payload = minified(path)
    written = encode(decode(model_of(path), payload))
    if path.name in LATER:
        body, old = json.loads(written), json.loads(payload)
        later = {key: [body.pop(key)] for key in [*body] if key not in old}
        if "health" in old:
            fresh = [key for key in body["health"] if key not in old["health"]]
            later["health"] = [body["health"].pop(key) for key in fresh]
        assert later == {key: [None] * count for key, count in LATER[path.name].items()}
        written = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    assert written == payload


@pytest.mark.parametrize("path", [p for p in FILES if ".contract." in p.name], ids=lambda p: p.stem)
def test_the_examples_of_the_contract_are_read_and_nothing_of_them_is_lost(path: Path) -> None:
    """The contract's examples have none of our additions, and leave out what is empty."""
    before = json.loads(path.read_text(encoding="utf-8"))
    after = json.loads(encode(decode(model_of(path), minified(path))))
    assert covers(after, before)


def covers(after: object, before: object) -> bool:
    match after, before:
        case dict(), dict():
            return all(key in after and covers(after[key], value) for key, value in before.items())
        case list(), list():
            return len(after) == len(before) and all(map(covers, after, before))
        case _:
            return bool(after == before)


@pytest.mark.parametrize("path", [p for p in FILES if "fullest" not in p.name], ids=lambda p: p.stem)
def test_readers_ignore_fields_that_they_do_not_know(path: Path) -> None:
    model = model_of(path)
    body = json.loads(path.read_text(encoding="utf-8"))
    known = decode(model, minified(path))
    assert decode(model, json.dumps(with_news(body, within_detail=False)).encode()) == known


def with_news(value: object, *, within_detail: bool) -> object:
    """The same from a later version: an unknown field in every object."""
    match value:
        case dict():
            news = {} if within_detail else {"from_version_9": {"x": [1]}}
            return news | {k: with_news(v, within_detail=within_detail or k == "detail") for k, v in value.items()}
        case list():
            return [with_news(item, within_detail=within_detail) for item in value]
        case _:
            return value


def test_the_fullest_desired_in_chinese_has_everything_and_fits() -> None:
    payload = minified(GOLDEN / "desired.fullest.json")
    desired = decode(Desired, payload)
    assert len(payload) <= MAX_PAYLOAD_BYTES
    assert (len(desired.stored), len(desired.rings), len(desired.peers)) == (STORED_COUNT, MAX_RINGS, MAX_PEERS)
    assert all(len(ring.label) == 40 and len(ring.place) == 60 and len(ring.who or "") == 40 for ring in desired.rings)
    assert all(len(peer) == 63 for peer in desired.peers)
    assert not desired.neighbours  # they yield to rings: tests/relay/core/test_desired.py
