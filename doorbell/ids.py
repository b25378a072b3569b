"""Names on the wire: which strings may name a community, a device, an event or an alarm.

An event id is a random UUID (version 4): a Pi has no clock to order ids by. The id of an alarm is the id of the
``help`` event that raised it. Alarms that the relay raises itself take a name-based id (``derived_id``), so that the
pure core needs no randomness and two relays would name the same alarm alike.
"""

from __future__ import annotations

import uuid
from typing import Annotated

from pydantic import StringConstraints

SLUG_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}\Z"
"""At most 63 characters: an MQTT user name, a client id and a certificate's common name at once (limit of 64 there)."""

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z"

DeviceId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
CommunityId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
EventId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
AlarmId = EventId

_NAMESPACE = uuid.UUID("5d0d3f7e-6f1b-5b8f-9c55-1a2f4ad3b6e1")


def derived_id(*parts: str) -> str:
    """The id of something that follows from other ids: the same parts give the same UUID (version 5, RFC 9562)."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))
