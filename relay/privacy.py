"""One person or household of the register: the words that tell of them, and what the register is without them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from relay.core.alarm import Alarm
from relay.core.register import Register

SHORTEST, SHORTEST_ASCII = 2, 6
"""Characters of a word that is searched in free texts and messages: 王 is in many sentences, 502 in many numbers."""


class SubjectKind(StrEnum):
    """Whom a request is about."""

    PERSON = "person"
    HOUSEHOLD = "household"


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who asks what is kept of them, or that it be erased."""

    kind: SubjectKind
    id: str
    community: str
    words: tuple[str, ...]
    """Their name, telephone number, what their home is called, where it is: whatever the register tells of them."""
    devices: tuple[str, ...]
    telling: tuple[str, ...] = ()
    """Those of the words that tell of them alone, and are no part of a number or of somebody else's name or address."""

    def tells(self, text: str) -> bool:
        """Whether a text tells of them by a word."""
        return any(word in text for word in self.telling)

    def without(self, text: str) -> str:
        """The text with their id in the place of every word that tells of them."""
        for word in sorted(self.telling, key=len, reverse=True):
            text = text.replace(word, self.id)
        return text

    def forms(self) -> Iterator[bytes]:
        """Their words as they may stand in bytes of a stranger: UTF-8, JSON's escapes, UTF-16, China's GB 18030."""
        for word in self.telling:
            escaped = json.dumps(word)[1:-1]
            capital = re.sub(r"\\u(....)", lambda found: "\\u" + found[1].upper(), escaped)
            yield from (word.encode(), escaped.encode(), capital.encode())
            yield from (word.encode("utf-16-le"), word.encode("utf-16-be"), word.encode("gb18030"))

    def in_bytes(self, payload: bytes) -> bool:
        """Whether bytes tell of them in any of these forms."""
        return any(form in payload for form in self.forms())


def find_subject(register: Register, id_: str) -> Subject | None:
    """The person or household of this id. Ids are unique within a kind; a household comes first."""
    if (home := register.households.get(id_)) is not None:
        words = tuple(filter(None, (home.label, home.place)))
        found = Subject(SubjectKind.HOUSEHOLD, id_, home.community, words, register.panels_of.get(id_, ()))
    elif (person := register.people.get(id_)) is not None:
        words = tuple(filter(None, (person.name, person.phone)))
        found = Subject(SubjectKind.PERSON, id_, person.community, words, register.bells_of.get(id_, ()))
    else:
        return None
    others = register_without(register, found)
    texts = [text for home in others.households.values() for text in (home.label, home.place)]
    texts += [text for person in others.people.values() for text in (person.name, person.phone)]
    texts += [text for group in others.groups.values() for text in (group.name,)]
    alone = (word for word in words if not any(word in text for text in texts))
    return replace(found, telling=tuple(word for word in alone if _is_long_enough(word)))


def _is_long_enough(word: str) -> bool:
    return len(word) >= (SHORTEST_ASCII if word.isascii() else SHORTEST)


def register_without(register: Register, subject: Subject) -> Register:
    """The register in which they, their devices and their pairs are no more."""
    devices = {id_: device for id_, device in register.devices.items() if id_ not in subject.devices}
    if subject.kind is SubjectKind.HOUSEHOLD:
        homes = {id_: home for id_, home in register.households.items() if id_ != subject.id}
        return replace(register, households=homes, devices=devices)
    gone = subject.id

    def others(people: Iterable[str]) -> tuple[str, ...]:
        return tuple(person for person in people if person != gone)

    return replace(
        register,
        people={id_: person for id_, person in register.people.items() if id_ != gone},
        households={
            id_: replace(home, volunteers=others(home.volunteers)) if gone in home.volunteers else home
            for id_, home in register.households.items()
        },
        groups={
            id_: replace(group, members=others(group.members)) if gone in group.members else group
            for id_, group in register.groups.items()
        },
        devices=devices,
    )


def left_alone(register: Register, subject: Subject) -> tuple[str, ...]:
    """Households that would have no volunteer any more."""
    return tuple(
        home.id
        for home in register.households.values()
        if subject.kind is SubjectKind.PERSON and home.volunteers == (subject.id,)
    )


def concerns(alarm: Alarm, subject: Subject) -> bool:
    """Whether an alarm is about their home, calls one of their bells, or is in their hands."""
    if subject.kind is SubjectKind.HOUSEHOLD:
        return alarm.household == subject.id
    called = any(bell in subject.devices for bell in alarm.called)
    return called or any(helper.person == subject.id for helper in alarm.helpers)
