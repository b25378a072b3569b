"""Bytes to messages and back. Whatever is wrong with bytes that arrived is the sender's fault: ``PeerError``."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from doorbell.errors import DoorbellBug, PeerError
from doorbell.wire.messages import MAX_PAYLOAD_BYTES, Event, Presence, WireModel

M = TypeVar("M", bound=WireModel)

_EXPLAINED_ERRORS = 3
"""Mistakes named in the detail of a refusal; more would only fill the log."""


def decode(model: type[M], payload: bytes) -> M:
    """Parse a payload into a message.

    Raises ``PeerError`` with reason ``too_large`` (over 8 KiB), ``not_json`` (not UTF-8 JSON), ``unknown_type`` (an
    event type that version 1 does not know) or ``invalid`` (a field is missing, mistyped or out of its limits).
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        # "At least": the link cuts what is too long, and hands over a byte more than is allowed.
        raise PeerError("too_large", f"at least {len(payload)} bytes; {MAX_PAYLOAD_BYTES} are allowed")
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        raise _blame(model, error) from None


def _blame(model: type[WireModel], error: ValidationError) -> PeerError:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    if problems[0]["type"] == "json_invalid":
        return PeerError("not_json", problems[0]["msg"])
    if model is Event and len(problems) == 1 and problems[0]["loc"] == ("type",) and problems[0]["type"] == "enum":
        return PeerError("unknown_type", problems[0]["msg"])
    told = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'payload'}: {p['msg']}" for p in problems[:_EXPLAINED_ERRORS])
    return PeerError("invalid", told[:500])


def encode(message: WireModel) -> bytes:
    """The payload of a message. One over the limit is our own bug: limits of the fields must prevent it."""
    payload = message.model_dump_json(by_alias=True).encode()
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise DoorbellBug(f"{type(message).__name__} of {len(payload)} bytes is over {MAX_PAYLOAD_BYTES}")
    return payload


def decode_presence(payload: bytes) -> Presence:
    """``online`` or ``offline``; anything else is a ``PeerError('invalid')``."""
    try:
        return Presence(payload.decode("ascii"))
    except ValueError:
        raise PeerError("invalid", f"presence {payload[:20]!r}") from None
