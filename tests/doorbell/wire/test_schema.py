"""The generated documents: current, true of the golden files, and whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from doorbell.wire import Channel, Desired, Event, Reported, WireModel
from doorbell.wire.schema import ASYNCAPI_FILE, DIALECT, OUT, build_files, main

ROOT = Path(__file__).parents[3]
GOLDEN = sorted((ROOT / "tests" / "golden" / "v1").glob("*.json"))
DOCUMENT: dict[str, Any] = json.loads(build_files()[ASYNCAPI_FILE])
SCHEMAS: dict[str, dict[str, Any]] = {
    name.partition(".")[0]: json.loads(text) for name, text in build_files().items() if name != ASYNCAPI_FILE
}


def test_what_lies_in_docs_is_what_would_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--out", str(ROOT / OUT)]) == 0, capsys.readouterr().err


def test_check_names_what_is_not_current_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(build_files())
    stale = tmp_path / "event.schema.json"
    stale.write_text("{}")
    assert main(["--check", "--out", str(tmp_path)]) == 1
    assert str(stale) in capsys.readouterr().err
    assert stale.read_text() == "{}"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_keep_the_schemas(path: Path) -> None:
    schema = SCHEMAS[path.name.partition(".")[0]]
    jsonschema.Draft7Validator(schema).validate(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_schemas_are_schemas(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == DIALECT
    jsonschema.Draft7Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("event", {"id": "x", "type": "help", "at": "2026-11-23T06:43:00Z", "age_ms": 1, "clock": "synced"}),
        ("event", {}),
        ("desired", {"rev": -1}),
        ("desired", {"rev": 1, "peers": ["A"]}),
        ("reported", {"rev": 1, "firmware": "x" * 41, "clock": "synced"}),
        ("online", "Online"),
    ],
)
def test_schemas_refuse_what_the_models_refuse(name: str, body: object) -> None:
    assert not jsonschema.Draft7Validator(SCHEMAS[name]).is_valid(body)


@pytest.mark.parametrize(("name", "model"), [("event", Event), ("desired", Desired), ("reported", Reported)])
def test_every_field_stands_in_its_schema(name: str, model: type[WireModel]) -> None:
    assert set(SCHEMAS[name]["properties"]) == {field.alias or key for key, field in model.model_fields.items()}
    assert "description" in SCHEMAS[name]


def test_what_the_source_says_of_a_field_stands_in_the_schema() -> None:
    assert "monotonic clock" in SCHEMAS["event"]["properties"]["age_ms"]["description"]
    assert "never silenced" in SCHEMAS["desired"]["$defs"]["DeviceSettings"]["properties"]["volume"]["description"]


# ---------------------------------------------------------------------------------------------------------------------
# AsyncAPI. The document was also held against the official schema of AsyncAPI 3.0, which is too large to keep here.


def references(value: object) -> Iterator[str]:
    match value:
        case dict():
            for key, item in value.items():
                if key == "$ref":
                    yield item
                else:
                    yield from references(item)
        case list():
            for item in value:
                yield from references(item)
        case _:
            pass


def resolve(reference: str) -> Any:
    if reference.startswith("./"):
        return json.loads(build_files()[reference[2:]])
    place: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    return place


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 15
    for reference in found:
        assert resolve(reference), reference


def test_required_parts_are_there() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert {"channels", "operations", "components"} <= set(DOCUMENT)
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = resolve(operation["channel"]["$ref"])
        assert [resolve(message["$ref"]) for message in operation["messages"]] == list(channel["messages"].values())


def test_every_channel_has_its_address_parameters_and_both_sides() -> None:
    assert set(DOCUMENT["channels"]) == {channel.value for channel in Channel}
    for name, channel in DOCUMENT["channels"].items():
        in_braces = [part[1:-1] for part in channel["address"].split("/") if part.startswith("{")]
        assert list(channel["parameters"]) == in_braces
        sides = {
            operation["action"]
            for operation in DOCUMENT["operations"].values()
            if operation["channel"]["$ref"] == f"#/channels/{name}"
        }
        assert sides == {"send", "receive"}


@pytest.mark.parametrize(
    ("name", "retained"),
    [("event", False), ("reported", True), ("online", True), ("desired", True), ("peer", False)],
)
def test_qos_and_retain_are_those_of_the_contract(name: str, retained: bool) -> None:
    for operation in DOCUMENT["operations"].values():
        if operation["channel"]["$ref"] == f"#/channels/{name}":
            binding = operation["bindings"]["mqtt"]
            assert binding["qos"] == 1
            assert binding.get("retain") == (retained if operation["action"] == "send" else None)
