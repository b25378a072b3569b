"""The words of light and sound: what an elder or a volunteer can see and hear, as names; adapters make them real."""

from __future__ import annotations

from enum import StrEnum


class Light(StrEnum):
    """What the light of a device says. A panel uses the first group and the last, a bell the second and the last."""

    HEARD = "heard"
    RECEIVED = "received"
    RINGING = "ringing"
    COMING = "coming"
    ARRIVED = "arrived"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    COVERED = "covered"
    THIN = "thin"
    UNCOVERED = "uncovered"

    ANSWERING = "answering"
    """This bell has answered, and the relay has not confirmed it yet."""
    MINE = "mine"
    """The relay says that this bell's volunteer is the one who comes."""
    TAKEN = "taken"
    """Somebody else comes."""
    READY = "ready"

    OFFLINE = "offline"
    """No relay within reach: a press made now would wait, a bell would not ring."""


class Tone(StrEnum):
    """A short sound, played once. ``HEARD`` is the device's own word, the rest repeat what is committed."""

    HEARD = "heard"
    RECEIVED = "received"
    RINGING = "ringing"
    COMING = "coming"
    ARRIVED = "arrived"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"


LIGHT_PATTERNS: dict[Light, tuple[int, ...]] = {
    Light.HEARD: (80, 80),
    Light.RECEIVED: (250, 250),
    Light.RINGING: (500, 500),
    Light.COMING: (1500, 250),
    Light.ARRIVED: (1000,),
    Light.UNREACHABLE: (120, 120, 120, 120, 120, 900),
    Light.CLOSED: (150, 150),
    Light.COVERED: (1000,),
    Light.THIN: (2700, 300),
    Light.UNCOVERED: (100, 2900),
    Light.ANSWERING: (120, 120),
    Light.MINE: (1500, 250),
    Light.TAKEN: (250, 1750),
    Light.READY: (1000,),
    Light.OFFLINE: (60, 4940),
}
"""Milliseconds on, off, on, ... for ever; a single number is a steady light. All under 8 Hz: faster
flashing looks steady to old eyes, and from 10 to 25 Hz it can harm."""
