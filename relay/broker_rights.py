"""Who may say and hear what at a broker: the table of the wire contract for a device, and what a relay needs. No I/O.

Every right is a topic filter. What is not here nobody may do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from doorbell.wire import MAX_PAYLOAD_BYTES, Channel, Topics
from relay.core.register import Register
from relay.echo import echo_topic
from relay.issued import Identity, IssuedRegister, Purpose

MAX_PACKET_BYTES = MAX_PAYLOAD_BYTES + 2048
"""The largest payload, with a topic of four names (100 + 3 x 63), MQTT's head, and a last will in a CONNECT."""


CONFIGURATION = "love-doorbell.conf"
MARK = "doorbell-read"


def mark_topic(files: Mapping[str, bytes]) -> str:
    """A topic that is named by what is in these files: who is heard there has proved that the broker has read them."""
    digest = sha256(b"".join(sha256(files[name]).digest() for name in sorted(files))).hexdigest()
    return f"{MARK}/{digest[:32]}"


def mark_in(text: bytes) -> str:
    """The mark's topic in a broker's file; empty where there is none."""
    found = re.search(rf"{MARK}[./]([0-9a-f]{{32}})".encode(), text)
    return f"{MARK}/{found[1].decode()}" if found is not None else ""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one identity may do."""

    identity: Identity
    says: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """Everybody's rights, and whom something is missing of."""

    rights: tuple[Rights, ...]
    """Of all that have an identity that stands; those that are not registered may come in and do nothing."""
    unregistered: tuple[str, ...]
    """Devices with an identity that the register does not know."""
    without_identity: tuple[str, ...]
    """Devices of the register that have none, and are not let in."""


def access_of(register: Register, issued: IssuedRegister, topics: Topics, now: datetime) -> Access:
    """Everybody's rights. A device may speak in its own community only, which is the one that the register says."""
    standing = {one.name: one for one in issued if one.stands(now) and one.purpose is not Purpose.BROKER}
    devices = {name: one for name, one in standing.items() if one.purpose is Purpose.DEVICE}
    rights = [_rights(one, register, topics) for _, one in sorted(standing.items())]
    return Access(
        tuple(rights),
        tuple(sorted(devices.keys() - register.devices.keys())),
        tuple(sorted(register.devices.keys() - devices.keys())),
    )


def _rights(one: Identity, register: Register, topics: Topics) -> Rights:
    if one.purpose is Purpose.RELAY:
        echo = echo_topic(topics, one.name)
        heard = (Channel.EVENT, Channel.REPORTED, Channel.ONLINE, Channel.DESIRED)
        return Rights(
            one,
            says=(topics.all_of("+", Channel.DESIRED), echo),
            hears=(*(topics.all_of("+", channel) for channel in heard), echo),
        )
    device = register.devices.get(one.name)
    if device is None:
        return Rights(one)
    said = (Channel.EVENT, Channel.REPORTED, Channel.ONLINE)
    return Rights(
        one,
        says=(
            *(topics.of(device.community, device.id, channel) for channel in said),
            topics.peer(device.community, device.id, "+"),
        ),
        hears=(
            topics.of(device.community, device.id, Channel.DESIRED),
            topics.peers_of(device.community, device.id),
        ),
    )
