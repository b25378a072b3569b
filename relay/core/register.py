"""The register as the core sees it: communities, households, people, devices, pairs, groups, hooks, policies.

Immutable; a new register replaces the old one whole. Look-ups that an alarm needs are made once, when it is built.
A pair is a household and a volunteer; a household's ``volunteers`` are its pairs in the order in which they are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from doorbell.wire import AlarmKind
from relay.core.policy import DEFAULT_POLICIES, Policy

OFFICE_KIND = "office"
"""The group of this kind is what the target ``office`` means."""


class DeviceRole(StrEnum):
    """What a device is for."""

    PANEL = "panel"
    BELL = "bell"


@dataclass(frozen=True, slots=True)
class Community:
    """One neighbourhood: its own households, volunteers and alliance; the unit by which relays share the work."""

    id: str
    name: str
    language: str = "zh-CN"


@dataclass(frozen=True, slots=True)
class Person:
    """A volunteer or alliance member; ``name`` is what a panel may speak ("彭小平 is coming")."""

    id: str
    community: str
    name: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Household:
    """An elder's home; ``label`` and ``place`` are what a bell may speak or show."""

    id: str
    community: str
    label: str
    place: str = ""
    volunteers: tuple[str, ...] = ()
    policies: tuple[tuple[AlarmKind, str], ...] = ()
    """Policy ids by kind; a kind that is not named has the product's default."""


@dataclass(frozen=True, slots=True)
class Device:
    """A panel (of a household) or a bell (of a person)."""

    id: str
    community: str
    role: DeviceRole
    household: str | None = None
    person: str | None = None
    volume: int | None = None
    report_interval_s: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group of the alliance (medical, supplies, transport, office …): people with bells, and webhooks."""

    id: str
    community: str
    kind: str
    name: str
    members: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook: the relay POSTs JSON to ``url``; ``secret_file`` names the file with the key of the signature."""

    id: str
    community: str
    url: str
    secret_file: str = ""


@dataclass(frozen=True)
class Register:
    """Everything that is registered, by id (ids are unique across communities)."""

    communities: Mapping[str, Community] = field(default_factory=dict)
    households: Mapping[str, Household] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)

    @cached_property
    def bells_of(self) -> Mapping[str, tuple[str, ...]]:
        """Bell ids by person."""
        return _by((d.person, d.id) for d in self.devices.values() if d.role is DeviceRole.BELL)

    @cached_property
    def panels_of(self) -> Mapping[str, tuple[str, ...]]:
        """Panel ids by household."""
        return _by((d.household, d.id) for d in self.devices.values() if d.role is DeviceRole.PANEL)

    @cached_property
    def groups_of(self) -> Mapping[str, tuple[str, ...]]:
        """Group ids by community."""
        return _by((g.community, g.id) for g in self.groups.values())

    @cached_property
    def households_of_volunteer(self) -> Mapping[str, tuple[str, ...]]:
        """Household ids by volunteer (person)."""
        return _by((p, h.id) for h in self.households.values() for p in h.volunteers)

    def indexed(self) -> Register:
        """The same, with every look-up made now, and not when the first alarm needs it."""
        for look_up in ("bells_of", "panels_of", "groups_of", "households_of_volunteer"):
            getattr(self, look_up)
        return self

    def volunteer_bells(self, household: str) -> tuple[str, ...]:
        """The bells of a household's volunteers, in the order of the pairs."""
        return tuple(bell for person in self.households[household].volunteers for bell in self.bells_of.get(person, ()))

    def policy_for(self, household: str, kind: AlarmKind) -> Policy:
        """The policy of a household for a kind: its own, or the product's default."""
        for named_kind, policy in self.households[household].policies:
            if named_kind is kind:
                return self.policies[policy]
        return DEFAULT_POLICIES[kind]

    def known_policy(self, household: str, kind: AlarmKind) -> Policy | None:
        """The same; None for a household that is not there."""
        return self.policy_for(household, kind) if household in self.households else None


def _by(pairs: Iterable[tuple[str | None, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        if key is not None:
            found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
