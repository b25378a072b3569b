"""The words of light and sound: what an elder or a volunteer can see and hear, as names; adapters make them real."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from doorbell.wire import AlarmKind


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
    NOTICE = "notice"
    """Before a sentence that answers nothing and is no alarm: a reminder, a line that is whole again."""


class Phrase(StrEnum):
    """A spoken sentence. A panel says the first group, a bell the second."""

    HEARD = "heard"
    """Your press was felt; I am calling."""
    HEARD_OFFLINE = "heard_offline"
    """The same while the line is down: it will take longer, and that is said."""
    RECEIVED = "received"
    RINGING = "ringing"
    COMING = "coming"
    """``who`` is coming; somebody, if ``who`` is empty."""
    ARRIVED = "arrived"
    UNREACHABLE = "unreachable"
    """Nobody has been reached yet; I keep trying."""
    CLOSED = "closed"
    OK_HEARD = "ok_heard"
    """The green button was felt."""

    CALL = "call"
    """``label`` calls, at ``place``: spoken while the bell rings, by the kind of the alarm."""
    GO = "go"
    """You have accepted: go to ``label``, ``place``."""
    DECLINED = "declined"
    DONE = "done"
    TAKEN = "taken"
    """``who`` goes to ``label``."""
    REMINDER = "reminder"
    """You have accepted ``label`` and not said that it is done."""


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence to speak. ``who``, ``label`` (1 to 40 characters) and ``place`` (up to 60) are empty where unknown."""

    phrase: Phrase
    who: str = ""
    label: str = ""
    place: str = ""
    kind: AlarmKind = AlarmKind.HELP


ROUTINE_PHRASES = frozenset(
    {Phrase.REMINDER, Phrase.DONE, Phrase.DECLINED, Phrase.TAKEN, Phrase.OK_HEARD, Phrase.CLOSED}
)
"""What quiet hours may make softer. All else is an alarm, or an answer to somebody who has just asked for help."""


@dataclass(frozen=True, slots=True)
class Call:
    """An alarm for which a bell's chime sounds, with what is spoken of it."""

    alarm: str
    label: str = ""
    place: str = ""
    kind: AlarmKind = AlarmKind.HELP


class Primary(StrEnum):
    """A lamp of a light that has several."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Colour(StrEnum):
    """What red, green and blue lamps can mix by being lit or not."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    YELLOW = "yellow"
    CYAN = "cyan"
    MAGENTA = "magenta"
    WHITE = "white"


PRIMARIES_OF: dict[Colour, frozenset[Primary]] = {
    Colour.RED: frozenset({Primary.RED}),
    Colour.GREEN: frozenset({Primary.GREEN}),
    Colour.BLUE: frozenset({Primary.BLUE}),
    Colour.YELLOW: frozenset({Primary.RED, Primary.GREEN}),
    Colour.CYAN: frozenset({Primary.GREEN, Primary.BLUE}),
    Colour.MAGENTA: frozenset({Primary.RED, Primary.BLUE}),
    Colour.WHITE: frozenset(Primary),
}

LIGHT_COLOURS: dict[Light, Colour] = {
    Light.HEARD: Colour.WHITE,
    Light.RECEIVED: Colour.YELLOW,
    Light.RINGING: Colour.YELLOW,
    Light.COMING: Colour.CYAN,
    Light.ARRIVED: Colour.CYAN,
    Light.UNREACHABLE: Colour.RED,
    Light.CLOSED: Colour.BLUE,
    Light.COVERED: Colour.CYAN,
    Light.THIN: Colour.YELLOW,
    Light.UNCOVERED: Colour.RED,
    Light.ANSWERING: Colour.YELLOW,
    Light.MINE: Colour.CYAN,
    Light.TAKEN: Colour.BLUE,
    Light.READY: Colour.CYAN,
    Light.OFFLINE: Colour.RED,
}
"""Where the light has several lamps; each is a setting. Good news always has both green and blue in it, bad news is red
alone: eyes that cannot tell red from green (one man in twelve) see the blue, old eyes whose lens has yellowed and dims
the blue see the green. Traffic lights have a bluish green for the same reason. Yellow waits; blue is over, or
another's. The colour only adds to the pattern, which says it all."""

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
