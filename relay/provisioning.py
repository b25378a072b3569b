"""New devices: what somebody wishes, what the register is afterwards, and every mistake at once. No I/O in here."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from relay.core.register import Community, Device, DeviceRole, Household, Person, Register
from relay.provisioning_settings import Hardware
from relay.register_shapes import TABLES, hint
from relay.texts import Text
from relay.texts import provisioning as say
from relay.toml_lines import TomlPath

MIN_WIFI_PASSWORD, MAX_WIFI_PASSWORD = 8, 63
"""IEEE 802.11, M.4.1: a pass-phrase."""
MAX_SSID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Wish:
    """A device that somebody wants; what is empty follows from the register, or is asked for.

    ``line``: in the file from which it comes, 0 without one.
    """

    line: int = 0
    role: str = ""
    community: str = ""
    household: str = ""
    label: str = ""
    place: str = ""
    person: str = ""
    name: str = ""
    phone: str = ""
    device: str = ""
    hardware: str = ""
    wifi: str = ""
    wifi_password: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A device as its card needs it."""

    device: Device
    hardware: Hardware
    wifi: str = ""
    wifi_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Mistake:
    """Why a wish cannot be fulfilled."""

    line: int
    key: str
    text: Text
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The register with the new devices in it, and what their cards need; or mistakes, and then nothing else counts."""

    register: Register
    wanted: tuple[Wanted, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


def fulfil(
    register: Register, wishes: Iterable[Wish], *, taken: Container[str] = (), hardware: Hardware = Hardware.PI_4
) -> Outcome:
    """Add these devices, with the households and people that are new.

    ``taken``: names that have an identity although no device of the register is called so. ``hardware``: where a wish
    names none. Panels first, so that a bell may be for a household that is in the same list.
    """
    maker = _Maker(register, taken, hardware)
    ordered = sorted(wishes, key=lambda wish: (_role_of(wish.role) is not DeviceRole.PANEL, wish.line))
    for wish in ordered:
        maker.take(wish)
    mistakes = sorted(maker.mistakes, key=lambda mistake: mistake.line)
    if mistakes:
        return Outcome(register, mistakes=tuple(mistakes))
    return Outcome(maker.register, tuple(maker.wanted))


def wanted_again(register: Register, wish: Wish, hardware: Hardware) -> Outcome:
    """A card for a device that is registered already: another board, or another Wi-Fi. The register stays as it is."""
    maker = _Maker(register, (), hardware)
    device = register.devices.get(wish.device)
    if device is None:
        fields = {"id": wish.device, "hint": hint(wish.device, register.devices)}
        return Outcome(register, mistakes=(Mistake(wish.line, "device", say.NO_SUCH_DEVICE, fields),))
    maker.add_wanted(wish, device)
    return Outcome(register, tuple(maker.wanted), tuple(maker.mistakes))


_ROLES = {"panel": DeviceRole.PANEL, "面板": DeviceRole.PANEL, "bell": DeviceRole.BELL, "门铃": DeviceRole.BELL}


def _role_of(word: str) -> DeviceRole | None:
    return _ROLES.get(word.strip().lower())


class _Maker:
    def __init__(self, register: Register, taken: Container[str], hardware: Hardware) -> None:
        self.register = register
        self.mistakes: list[Mistake] = []
        self.wanted: list[Wanted] = []
        self._taken = taken
        self._hardware = hardware

    def take(self, wish: Wish) -> None:
        match _role_of(wish.role):
            case DeviceRole.PANEL:
                self._take_panel(wish)
            case DeviceRole.BELL:
                self._take_bell(wish)
            case None:
                self._tell(wish, "role", say.NO_ROLE, found=wish.role)

    def add_wanted(self, wish: Wish, device: Device) -> None:
        """The device, with what only its card needs."""
        try:
            hardware = Hardware(wish.hardware) if wish.hardware else self._hardware
        except ValueError:
            known = ", ".join(one.value for one in Hardware)
            self._tell(wish, "hardware", say.NO_SUCH_HARDWARE, found=wish.hardware, known=known)
            return
        if not wish.wifi and not hardware.has_cable:
            self._tell(wish, "wifi", say.NEEDS_WIFI, hardware=hardware.value)
        if len(wish.wifi.encode()) > MAX_SSID_BYTES or not wish.wifi.isprintable():
            self._tell(wish, "wifi", say.BAD_WIFI, limit=MAX_SSID_BYTES)
        secret = wish.wifi_password
        if secret and not (
            MIN_WIFI_PASSWORD <= len(secret) <= MAX_WIFI_PASSWORD and secret.isascii() and secret.isprintable()
        ):
            self._tell(wish, "wifi_password", say.BAD_WIFI_PASSWORD, low=MIN_WIFI_PASSWORD, high=MAX_WIFI_PASSWORD)
        if secret and not wish.wifi:
            self._tell(wish, "wifi", say.PASSWORD_WITHOUT_WIFI)
        self.wanted.append(Wanted(device, hardware, wish.wifi, secret))

    # -----------------------------------------------------------------------------------------------------------------

    def _take_panel(self, wish: Wish) -> None:
        if not wish.household:
            self._tell(wish, "household", say.MISSING)
            return
        home = self.register.households.get(wish.household) or self._new_household(wish)
        if home is None:
            return
        for key in ("label", "place"):
            self._same(wish, key, getattr(wish, key), getattr(home, key))
        self._same(wish, "community", wish.community, home.community)
        if (name := self._name(wish, f"panel-{home.id}")) is not None:
            self._add(wish, Device(name, home.community, DeviceRole.PANEL, household=home.id))

    def _take_bell(self, wish: Wish) -> None:
        home = self.register.households.get(wish.household) if wish.household else None
        if wish.household and home is None:
            known = hint(wish.household, self.register.households)
            self._tell(wish, "household", say.NO_SUCH_HOUSEHOLD, id=wish.household, hint=known)
            return
        person = self._person(wish, home)
        if person is None:
            return
        self._same(wish, "name", wish.name, person.name)
        self._same(wish, "phone", wish.phone, person.phone)
        self._same(wish, "community", wish.community, person.community)
        if home is not None and home.community != person.community:
            self._tell(wish, "person", say.OTHER_COMMUNITY, id=person.id, theirs=person.community, ours=home.community)
            return
        if home is not None and person.id not in home.volunteers:
            paired = replace(home, volunteers=(*home.volunteers, person.id))
            self._change(households={**self.register.households, home.id: paired})
        if (name := self._name(wish, f"bell-{person.id}")) is not None:
            self._add(wish, Device(name, person.community, DeviceRole.BELL, person=person.id))

    def _person(self, wish: Wish, home: Household | None) -> Person | None:
        if wish.person:
            return self.register.people.get(wish.person) or self._new_person(wish, home)
        if home is None:
            self._tell(wish, "person", say.MISSING)
            return None
        without = [person for person in home.volunteers if not self.register.bells_of.get(person)]
        if len(without) != 1:
            self._tell(wish, "person", say.WHICH_PERSON, household=home.id, count=len(without))
            return None
        return self.register.people[without[0]]

    def _new_household(self, wish: Wish) -> Household | None:
        community = self._community(wish)
        if not wish.label:
            close = hint(wish.household, self.register.households)
            self._tell(wish, "household", say.NEW_NEEDS_LABEL, id=wish.household, hint=close)
        row = {"id": wish.household, "label": wish.label, "place": wish.place}
        if not self._shaped(wish, "household", row, "household") or community is None or not wish.label:
            return None
        made = Household(wish.household, community.id, wish.label, wish.place)
        self._change(households={**self.register.households, made.id: made})
        return made

    def _new_person(self, wish: Wish, home: Household | None) -> Person | None:
        community = self._community(wish if wish.community or home is None else replace(wish, community=home.community))
        if not wish.name:
            close = hint(wish.person, self.register.people)
            self._tell(wish, "person", say.NEW_NEEDS_NAME, id=wish.person, hint=close)
        row = {"id": wish.person, "name": wish.name, "phone": wish.phone}
        if not self._shaped(wish, "person", row, "person") or community is None or not wish.name:
            return None
        made = Person(wish.person, community.id, wish.name, wish.phone)
        self._change(people={**self.register.people, made.id: made})
        return made

    def _community(self, wish: Wish) -> Community | None:
        known = self.register.communities
        if wish.community:
            if (found := known.get(wish.community)) is None:
                self._tell(
                    wish, "community", say.NO_SUCH_COMMUNITY, id=wish.community, hint=hint(wish.community, known)
                )
            return found
        if len(known) != 1:
            self._tell(wish, "community", say.WHICH_COMMUNITY, count=len(known))
            return None
        return next(iter(known.values()))

    def _name(self, wish: Wish, wanted: str) -> str | None:
        """The device's id: the one that was asked for, or one that follows from whose it is."""
        if not wish.device:
            wanted = wanted[:60].rstrip("-")
            return next(name for name in _numbered(wanted) if not self._is_taken(name))
        if not self._shaped(wish, "person", {"bells": [wish.device]}, "device"):
            return None
        if wish.device in self.register.devices:
            self._tell(wish, "device", say.DEVICE_IS_THERE, id=wish.device)
            return None
        if wish.device in self._taken:
            self._tell(wish, "device", say.DEVICE_HAS_IDENTITY, id=wish.device)
            return None
        return wish.device

    def _is_taken(self, name: str) -> bool:
        return name in self.register.devices or name in self._taken

    def _add(self, wish: Wish, device: Device) -> None:
        self._change(devices={**self.register.devices, device.id: device})
        self.add_wanted(wish, device)

    def _change(self, **parts: Any) -> None:
        self.register = replace(self.register, **parts)

    def _shaped(self, wish: Wish, table: str, row: Mapping[str, Any], id_key: str) -> bool:
        """Whether values are as the register wants them; those that are empty are told elsewhere."""
        before = len(self.mistakes)
        for key, value in row.items():
            if value:

                def tell(path: TomlPath, text: Text, /, **fields: object) -> None:
                    self._tell(wish, id_key if path[0] in ("id", "bells") else str(path[0]), text, **fields)

                TABLES[table][key].shape(tell, (key,), value)
        return len(self.mistakes) == before

    def _same(self, wish: Wish, key: str, told: str, known: str) -> None:
        if told and told != known:
            self._tell(wish, key, say.OTHERWISE_REGISTERED, found=told, known=known)

    def _tell(self, wish: Wish, key: str, text: Text, /, **fields: object) -> None:
        self.mistakes.append(Mistake(wish.line, key, text, fields))


def _numbered(name: str) -> Iterable[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1
