"""Who was given which certificate: the authority's register of what it has issued and taken back. No I/O in here.

One line of JSON for each thing done, oldest first; lines are added and never changed. An *identity* is a name with a
number of its own. Its certificate may be renewed, with the same number; who is replaced by another device under the
same name is another identity, with another number. Taking back is always a whole identity: every certificate of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from doorbell.errors import SetupError

Name = Annotated[str, StringConstraints(pattern=r"^(broker\.)?[a-z0-9][a-z0-9-]{0,62}\z")]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,40}\z")]
MAX_LINE_BYTES = 16 * 1024
"""A broker with 64 names of 253 characters each."""


class Purpose(StrEnum):
    """What a certificate is good for."""

    DEVICE = "device"
    RELAY = "relay"
    BROKER = "broker"


_PREFIXES = {Purpose.DEVICE: "", Purpose.RELAY: "relay-", Purpose.BROKER: "broker."}
_NAMES = {
    Purpose.DEVICE: re.compile(r"(?!relay-)[a-z0-9][a-z0-9-]{0,62}"),
    Purpose.RELAY: re.compile(r"[a-z0-9][a-z0-9-]{0,56}"),
    Purpose.BROKER: re.compile(r"[a-z0-9][a-z0-9-]{0,56}"),
}


BROKER_ALIAS = "broker.love-doorbell.invalid"
"""A name in every broker's certificate beside those of its host: by it the servers of a cluster know each other."""


def common_name(purpose: Purpose, name: str) -> str | None:
    """Who it is at a broker and in a certificate: a device by its id, a relay as ``relay-NAME``, a broker as
    ``broker.NAME``. None where that is no name: no device may be called ``relay-…``, and the dot is in no device's id.
    """
    return _PREFIXES[purpose] + name if _NAMES[purpose].fullmatch(name) else None


def bare_name(name: str) -> str:
    """What somebody of this common name is called among their like."""
    return name.removeprefix(_PREFIXES[purpose_of(name)])


def purpose_of(name: str) -> Purpose:
    """What somebody of this common name is."""
    return next((one for one in (Purpose.BROKER, Purpose.RELAY) if name.startswith(_PREFIXES[one])), Purpose.DEVICE)


class Why(StrEnum):
    """Why an identity was taken back."""

    LOST = "lost"
    STOLEN = "stolen"
    BROKEN = "broken"
    REPLACED = "replaced"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    name: Name
    """The common name: a device's id, ``relay-NAME``, ``broker.NAME``."""
    number: Hex
    """Of the identity; in the certificate's subject as ``serialNumber``."""


class Issued(_Line):
    """One certificate that was made."""

    did: Literal["issued"] = "issued"
    serial: Hex
    purpose: Purpose
    since: AwareDatetime
    until: AwareDatetime
    issuer: Annotated[int, Field(ge=1)]
    """The number of the issuing authority, counted from 1."""
    hosts: tuple[str, ...] = ()
    """The names and addresses in a broker's certificate."""


class Revoked(_Line):
    """One identity that was taken back, with all its certificates."""

    did: Literal["revoked"] = "revoked"
    why: Why


Line = Annotated[Issued | Revoked, Field(discriminator="did")]
_LINE: TypeAdapter[Issued | Revoked] = TypeAdapter(Line)


@dataclass(frozen=True, slots=True)
class Identity:
    """A name with a number, and what became of it."""

    name: str
    number: str
    purpose: Purpose
    certificates: tuple[Issued, ...]
    """In the order in which they were made; at least one."""
    revoked: Revoked | None = None

    @property
    def until(self) -> datetime:
        """When the last of its certificates ends."""
        return max(one.until for one in self.certificates)

    @property
    def newest(self) -> Issued:
        """The certificate that it should be using."""
        return self.certificates[-1]

    def stands(self, now: datetime) -> bool:
        """Whether it may come in: not taken back, and not ended."""
        return self.revoked is None and now <= self.until


@dataclass
class IssuedRegister:
    """All identities by name, those of one name in the order in which they were made."""

    names: dict[str, list[Identity]] = field(default_factory=dict)
    last_at: datetime | None = None
    """The latest time at which something was done."""

    def add(self, line: Issued | Revoked) -> None:
        """One more thing was done. Raises ``ValueError`` for what cannot have followed what was done before."""
        known = self.names.setdefault(line.name, [])
        place = next((n for n, one in enumerate(known) if one.number == line.number), len(known))
        before = known[place] if place < len(known) else None
        if isinstance(line, Issued) and before is None:
            known.append(Identity(line.name, line.number, line.purpose, (line,)))
        elif before is None or before.revoked is not None:
            raise ValueError(
                f"{line.did}, but {line.name} with the number {line.number} is not there or was taken back"
            )
        elif isinstance(line, Issued):
            known[place] = replace(before, certificates=(*before.certificates, line))
        else:
            known[place] = replace(before, revoked=line)
        self.last_at = max(line.at, self.last_at or line.at)

    def __iter__(self) -> Iterator[Identity]:
        return (one for known in self.names.values() for one in known)

    def standing(self, name: str, now: datetime) -> Identity | None:
        """The identity under this name that may come in, of which there is one at most."""
        return next((one for one in self.names.get(name, ()) if one.stands(now)), None)

    def renewable(self, name: str, number: str, now: datetime) -> Identity | None:
        """The identity of this name and number, unless it was taken back or another stands under its name."""
        known = self.names.get(name, ())
        found = next((one for one in known if one.number == number and one.revoked is None), None)
        return None if any(one.stands(now) and one is not found for one in known) else found

    def revoked_by(self, issuer: int, now: datetime) -> tuple[tuple[Issued, Revoked], ...]:
        """Certificates of one issuing authority that were taken back and have not ended: what its list must name."""
        return tuple(
            (one, identity.revoked)
            for identity in self
            if identity.revoked is not None
            for one in identity.certificates
            if one.issuer == issuer and one.until >= now
        )


def format_line(line: Issued | Revoked) -> bytes:
    """The line with its end."""
    return line.model_dump_json().encode() + b"\n"


def parse_lines(raw: bytes, source: object) -> tuple[IssuedRegister, int]:
    """The register, and how many bytes of ``raw`` are whole lines: what comes after the last line's end was being
    written when the machine stopped, and nobody was told of it.

    Raises ``SetupError`` with the number of a line that is not ours: somebody has edited the file, or the disk lies.
    """
    whole = raw.rfind(b"\n") + 1
    register = IssuedRegister()
    for number, line in _numbered(raw[:whole]):
        try:
            register.add(_LINE.validate_json(line))
        except ValidationError as error:
            told = error.errors()[0]
            raise SetupError(f"{source}:{number}: {told['msg']} ({'.'.join(map(str, told['loc']))})") from None
        except ValueError as error:
            raise SetupError(f"{source}:{number}: {error}") from None
    return register, whole


def _numbered(raw: bytes) -> Iterable[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(raw.split(b"\n"), 1) if line)
