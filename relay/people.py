"""Accounts, roles, and who may see and do what: one table. Pure.

An account may do what one of its roles may, in that role's community. Nobody's role lets them see everything: who reads
the audit log sees no household, who manages accounts sees how to get into no home.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from relay.core.alarm import Alarm, HelperState
from relay.core.register import Household, Register

EVERYWHERE = "*"
"""In the place of a community: all of them."""
MAX_LOGIN = 32
MAX_DISPLAY = 40
"""As a label's in the register: what a voice says in one breath."""
_LOGIN = re.compile(r"[\w][\w.@-]{1,31}")


class Role(StrEnum):
    """What somebody is to a community."""

    OFFICE = "office"
    COORDINATOR = "coordinator"
    TECHNICIAN = "technician"
    VOLUNTEER = "volunteer"
    ALLIANCE = "alliance"
    AUDITOR = "auditor"


class Right(StrEnum):
    """One thing that can be seen or done."""

    LABEL = "label"
    """What a household is called."""
    PLACE = "place"
    """Where it is."""
    HELPERS = "helpers"
    """The names of its volunteers, in the order in which they are called."""
    PHONES = "phones"
    """Their telephone numbers."""
    NOTES = "notes"
    """What was noted about it."""
    ENTRY = "entry"
    """Who has a key, and how to get in."""
    HOUSEHOLD_DEVICES = "household_devices"
    """Which devices it has, and how they are."""
    DEVICES = "devices"
    """The board of all devices and their installation."""
    ACCOUNTS = "accounts"
    """Accounts: add, lock, give and take roles, make links."""
    AUDIT = "audit"
    """The audit log."""


FIELDS = (
    Right.LABEL,
    Right.PLACE,
    Right.HELPERS,
    Right.PHONES,
    Right.NOTES,
    Right.ENTRY,
    Right.HOUSEHOLD_DEVICES,
)
"""Of a household."""


class Reach(StrEnum):
    """About whom."""

    ALL = "all"
    """Everybody in the community."""
    PAIRED = "paired"
    """The households that the person is paired with."""
    HELPING = "helping"
    """Those to whose open alarm the person is coming, or at which the person is."""


_ALL, _PAIRED, _HELPING = Reach.ALL, Reach.PAIRED, Reach.HELPING

PERMISSIONS: Mapping[Role, Mapping[Right, Reach]] = {
    Role.OFFICE: {
        Right.LABEL: _ALL,
        Right.PLACE: _ALL,
        Right.HELPERS: _ALL,
        Right.PHONES: _ALL,
        Right.NOTES: _ALL,
        Right.ENTRY: _HELPING,
        Right.HOUSEHOLD_DEVICES: _ALL,
        Right.DEVICES: _ALL,
        Right.ACCOUNTS: _ALL,
    },
    Role.COORDINATOR: {
        Right.LABEL: _ALL,
        Right.PLACE: _ALL,
        Right.HELPERS: _ALL,
        Right.PHONES: _ALL,
        Right.NOTES: _ALL,
        Right.ENTRY: _HELPING,
    },
    Role.TECHNICIAN: {
        Right.LABEL: _ALL,
        Right.PLACE: _ALL,
        Right.HOUSEHOLD_DEVICES: _ALL,
        Right.DEVICES: _ALL,
    },
    Role.VOLUNTEER: {
        Right.LABEL: _PAIRED,
        Right.PLACE: _PAIRED,
        Right.HELPERS: _PAIRED,
        Right.NOTES: _PAIRED,
        Right.ENTRY: _HELPING,
    },
    Role.ALLIANCE: {
        Right.LABEL: _HELPING,
        Right.PLACE: _HELPING,
        Right.HELPERS: _HELPING,
        Right.NOTES: _HELPING,
        Right.ENTRY: _HELPING,
    },
    Role.AUDITOR: {Right.AUDIT: _ALL},
}
"""What is not in here is not allowed. docs/people.md has the same table, and a test compares them."""


NEEDS_PERSON = frozenset({Role.VOLUNTEER, Role.ALLIANCE})
"""Roles that see something only of households with which a person has to do."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a community, or ``EVERYWHERE``."""

    role: Role
    community: str

    def __str__(self) -> str:
        return f"{self.role.value}:{self.community}"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in. Once erased, ``login`` and ``name`` are empty; the id stays, for the audit log."""

    id: str
    login: str
    name: str
    created_at: datetime
    person: str | None = None
    """The person of the register that this is: who a volunteer is paired with, who has accepted an alarm."""
    language: str = "zh-CN"
    subject: str | None = None
    """Who this is at the OpenID provider: its issuer, a blank, and the subject there."""
    has_password: bool = False
    locked: bool = False
    grants: tuple[Grant, ...] = ()

    @property
    def erased(self) -> bool:
        """Nothing personal is left of it."""
        return not self.login


@dataclass(frozen=True, slots=True)
class Viewer:
    """An account, and where its person is needed now."""

    account: Account
    helping: frozenset[str] = frozenset()
    """Households to whose open alarm the person is coming, or at which the person is."""

    def communities(self, right: Right, reach: Reach = Reach.ALL) -> frozenset[str]:
        """Where the account has this right about everybody; ``EVERYWHERE`` among them means all."""
        grants = self.account.grants
        return frozenset(grant.community for grant in grants if PERMISSIONS[grant.role].get(right) is reach)

    def may(self, right: Right, community: str | None = None) -> bool:
        """Whether the account has a right about everybody in a community; None: in any."""
        found = self.communities(right)
        return bool(found) if community is None else bool(found & {community, EVERYWHERE})

    def sees(self, right: Right, household: Household) -> bool:
        """Whether the account may see this of that household."""
        if self.may(right, household.community):
            return True
        here = {household.community, EVERYWHERE}
        paired = self.account.person is not None and self.account.person in household.volunteers
        if paired and self.communities(right, Reach.PAIRED) & here:
            return True
        return household.id in self.helping and bool(self.communities(right, Reach.HELPING) & here)

    def fields(self, household: Household) -> frozenset[Right]:
        """All that the account may see of it."""
        return frozenset(right for right in FIELDS if self.sees(right, household))

    def households(self, register: Register) -> list[Household]:
        """Those of which the account may see at least what they are called, in the order of their ids."""
        if not any(Right.LABEL in PERMISSIONS[grant.role] for grant in self.account.grants):
            return []
        return [home for home in register.households.values() if self.sees(Right.LABEL, home)]


def helped_households(person: str | None, alarms: Iterable[Alarm]) -> frozenset[str]:
    """Where a person is needed now, by the open alarms."""
    if person is None:
        return frozenset()
    here = {HelperState.COMING, HelperState.LATE, HelperState.ARRIVED}
    return frozenset(
        alarm.household
        for alarm in alarms
        if alarm.is_open and any(one.person == person and one.state in here for one in alarm.helpers)
    )


def tidy_login(text: str) -> str | None:
    """A name to sign in with, as it is stored: however it was typed, the same. None if it can be none."""
    login = unicodedata.normalize("NFKC", text).strip().casefold()
    return login if len(login) <= MAX_LOGIN and _LOGIN.fullmatch(login) else None


def name_is_usable(text: str) -> bool:
    """Whether this can be shown as somebody's name."""
    return 1 <= len(text.strip()) <= MAX_DISPLAY and text.isprintable()


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in. ``id`` is the hash of what the browser has; nobody can make a cookie of it."""

    id: str
    account: str
    created_at: datetime
    seen_at: datetime
    address: str


class LinkPurpose(StrEnum):
    """What a personal link is good for: one thing, once."""

    SET_PASSWORD = "set_password"  # noqa: S105 - a word
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class Link:
    """A personal link that was made."""

    id: str
    account: str
    purpose: LinkPurpose
    until: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """How long a browser stays signed in, in seconds: without a page, and at all."""

    idle_s: float
    absolute_s: float

    def live(self, session: Session, now: datetime) -> bool:
        """Whether it still holds. A clock that was set back ends no session; one from the future is none."""
        idle = (now - session.seen_at).total_seconds()
        age = (now - session.created_at).total_seconds()
        return idle < self.idle_s and -60 <= age < self.absolute_s


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What giving or taking roles does; ``grants`` is what is left."""

    grants: tuple[Grant, ...]
    given: Collection[Grant] = field(default_factory=tuple)
    taken: Collection[Grant] = field(default_factory=tuple)


def change_roles(present: Collection[Grant], give: Collection[Grant], take: Collection[Grant]) -> RoleChange:
    """Give and take; what is there already, or not there, changes nothing."""
    left = sorted((set(present) | set(give)) - set(take), key=str)
    return RoleChange(tuple(left), sorted(set(left) - set(present), key=str), sorted(set(present) - set(left), key=str))
