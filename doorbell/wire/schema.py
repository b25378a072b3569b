"""The contract for machines: JSON Schemas and an AsyncAPI 3.0 document, generated from the models.

    python -m doorbell.wire.schema [--check] [--out docs/wire]

Writes ``docs/wire``; ``--check`` writes nothing and exits with 1 if a file there is not what would be written.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from doorbell.ids import SLUG_PATTERN
from doorbell.wire import messages
from doorbell.wire.messages import MAX_PAYLOAD_BYTES, Desired, Event, Presence, Reported, WireModel
from doorbell.wire.topics import DEFAULT_PREFIX, Channel

OUT = Path("docs/wire")
ASYNCAPI_FILE = "asyncapi.json"
MODELS: dict[str, type[WireModel]] = {"event": Event, "desired": Desired, "reported": Reported}
DIALECT = "http://json-schema.org/draft-07/schema#"
"""What AsyncAPI 3.0 recommends beside its own; the models need nothing newer."""
SCHEMA_FORMAT = "application/schema+json;version=draft-07"
MQTT_BINDING_VERSION = "0.2.0"

_ROOT = f"{DEFAULT_PREFIX}/{{community}}/{{device}}"
_ADDRESSES = {
    Channel.EVENT: f"{_ROOT}/event",
    Channel.REPORTED: f"{_ROOT}/reported",
    Channel.ONLINE: f"{_ROOT}/online",
    Channel.DESIRED: f"{_ROOT}/desired",
    Channel.PEER: f"{_ROOT}/peer/{{other}}",
}
_ABOUT = {
    Channel.EVENT: "What happened at a device, sent again until the relay's receipt stands in desired.stored.",
    Channel.REPORTED: "What a device has made of its desired state; also its heartbeat.",
    Channel.ONLINE: "Birth and last will of a device.",
    Channel.DESIRED: "The whole state that the relay wants of a device.",
    Channel.PEER: "From one device to another while the relay does not answer: help, and accept as its answer.",
}
_PAYLOAD = {Channel.PEER: "event"}
"""Channels that carry another channel's message."""
_RETAINED = {Channel.REPORTED, Channel.ONLINE, Channel.DESIRED}
_OPERATIONS = (
    ("deviceSendsEvent", "device", "send", Channel.EVENT),
    ("relayReceivesEvent", "relay", "receive", Channel.EVENT),
    ("deviceSendsReported", "device", "send", Channel.REPORTED),
    ("relayReceivesReported", "relay", "receive", Channel.REPORTED),
    ("deviceSendsOnline", "device", "send", Channel.ONLINE),
    ("relayReceivesOnline", "relay", "receive", Channel.ONLINE),
    ("relaySendsDesired", "relay", "send", Channel.DESIRED),
    ("deviceReceivesDesired", "device", "receive", Channel.DESIRED),
    ("deviceSendsPeer", "device", "send", Channel.PEER),
    ("otherReceivesPeer", "device", "receive", Channel.PEER),
)
_PARAMETERS = {
    "community": {"description": f"A neighbourhood: {SLUG_PATTERN[:-2]}$"},
    "device": {
        "description": f"Who writes, or for desired who reads: {SLUG_PATTERN[:-2]}$. At once MQTT user name, client id"
        " and common name of the certificate."
    },
    "other": {"description": f"The device that is spoken to: {SLUG_PATTERN[:-2]}$"},
}


def build_files() -> dict[str, str]:
    """Every generated file of ``docs/wire`` by name."""
    documents = {f"{name}.schema.json": message_schema(name, model) for name, model in MODELS.items()}
    documents["online.schema.json"] = {
        "$schema": DIALECT,
        "title": "Online",
        "description": inspect.getdoc(Presence),
        "type": "string",
        "enum": [presence.value for presence in Presence],
    }
    documents[ASYNCAPI_FILE] = asyncapi()
    return {name: json.dumps(body, ensure_ascii=False, indent=2) + "\n" for name, body in documents.items()}


def message_schema(name: str, model: type[WireModel]) -> dict[str, Any]:
    """The JSON Schema of one message, with what the source says of each field."""
    body = model.model_json_schema(by_alias=True)
    told = _field_descriptions()
    for title, part in [(model.__name__, body), *body.get("$defs", {}).items()]:
        for key, field in part.get("properties", {}).items():
            if text := told.get((title, key)):
                field["description"] = text
    said = body.pop("description").replace("``", "`")
    about = f"{said} At most {MAX_PAYLOAD_BYTES} bytes of UTF-8. Readers ignore unknown fields."
    return {"$schema": DIALECT, "$id": f"{name}.schema.json", "description": about, **body}


def _field_descriptions() -> dict[tuple[str, str], str]:
    """The docstrings that stand below fields in the source, by class and wire name."""
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(messages)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, below in zip(node.body, node.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[node.name, name.rstrip("_")] = " ".join(text.split()).replace("``", "`")
                case _:
                    pass
    return found


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: every channel, and who sends and receives on it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Love Doorbell: the wire contract",
            "version": "1.0.0",
            "description": "Up go events, down goes a state. A PUBACK proves nothing: an event is done when its id"
            " stands in desired.stored. MQTT 3.1.1. See README.md beside this file.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.value: _channel(channel) for channel in Channel},
        "operations": {name: _operation(*rest) for name, *rest in _OPERATIONS},  # type: ignore[arg-type]
        "components": {
            "parameters": _PARAMETERS,
            "messages": {
                "event": _message("event", Event),
                "reported": _message("reported", Reported),
                "online": {**_message("online", Presence), "contentType": "text/plain"},
                "desired": _message("desired", Desired),
            },
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    names = ["community", "device", *(["other"] if channel is Channel.PEER else [])]
    message = _PAYLOAD.get(channel, channel.value)
    return {
        "address": _ADDRESSES[channel],
        "description": _ABOUT[channel],
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in names},
    }


def _operation(who: str, action: str, channel: Channel) -> dict[str, Any]:
    mqtt: dict[str, Any] = {"qos": 1, "bindingVersion": MQTT_BINDING_VERSION}
    if action == "send":
        mqtt["retain"] = channel in _RETAINED
    message = _PAYLOAD.get(channel, channel.value)
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel.value}"},
        "tags": [{"name": who}],
        "messages": [{"$ref": f"#/channels/{channel.value}/messages/{message}"}],
        "bindings": {"mqtt": mqtt},
    }


def _message(name: str, about: type) -> dict[str, Any]:
    return {
        "name": name,
        "title": about.__name__,
        "summary": (inspect.getdoc(about) or "").replace("``", "`"),
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./{name}.schema.json"}},
    }


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m doorbell.wire.schema", description="Generate docs/wire.")
    parser.add_argument("--out", type=Path, default=OUT, help=f"the directory to write (default {OUT})")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something is not current")
    asked = parser.parse_args(arguments)
    stale = 0
    for name, text in build_files().items():
        path: Path = asked.out / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if asked.check:
            sys.stderr.write(f"{path} is not current: run python -m doorbell.wire.schema\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if asked.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
