"""Who is called by a target, now: the bells that ring and the hooks that are told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from doorbell.values import value
from relay.core.policy import Target, TargetType
from relay.core.register import OFFICE_KIND, Register


@value(frozen=True, slots=True)
class Call:
    """What calling some targets comes to: bells and hooks, in order, each once."""

    bells: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()


def resolve_targets(register: Register, household: str, targets: Iterable[Target]) -> Call:
    """The bells and hooks that the targets mean for this household with this register.

    A target that means nobody (no third volunteer, a group that was deleted) adds nothing: the step is then deaf and
    the next starts at once.
    """
    bells: dict[str, None] = {}
    hooks: dict[str, None] = {}
    for target in targets:
        call = _resolve(register, household, target)
        bells.update(dict.fromkeys(call.bells))
        hooks.update(dict.fromkeys(call.hooks))
    return Call(tuple(bells), tuple(hooks))


def _resolve(register: Register, household: str, target: Target) -> Call:
    home = register.households.get(household)
    if home is None:
        return Call()
    match target.type:
        case TargetType.VOLUNTEER:
            place = int(target.name) - 1
            return _people(register, home.volunteers[place : place + 1])
        case TargetType.VOLUNTEERS:
            return _people(register, home.volunteers)
        case TargetType.GROUP:
            return _groups(register, home.community, target.name)
        case TargetType.OFFICE:
            return _groups(register, home.community, OFFICE_KIND)
        case TargetType.EVERYONE:
            return _merge((_people(register, home.volunteers), _groups(register, home.community)))
        case TargetType.HOOK:
            return Call((), (target.name,) if target.name in register.hooks else ())
        case _:
            assert_never(target.type)


def _people(register: Register, people: Iterable[str]) -> Call:
    return Call(tuple(bell for person in people for bell in register.bells_of.get(person, ())))


def _groups(register: Register, community: str, named: str | None = None) -> Call:
    """All groups of a community, or those whose kind or id is ``named``."""
    groups = (register.groups[g] for g in register.groups_of.get(community, ()))
    return _merge(
        Call(_people(register, group.members).bells, group.hooks)
        for group in groups
        if named is None or named in (group.kind, group.id)
    )


def _merge(calls: Iterable[Call]) -> Call:
    bells: dict[str, None] = {}
    hooks: dict[str, None] = {}
    for call in calls:
        bells.update(dict.fromkeys(call.bells))
        hooks.update(dict.fromkeys(call.hooks))
    return Call(tuple(bells), tuple(hooks))
