"""Lines of the journal that concern no alarm's transition; those that do are ``relay.core.alarm.NoteType``."""

from __future__ import annotations

from enum import StrEnum


class LineType(StrEnum):
    """What else is written down."""

    SIGN_OF_LIFE = "sign_of_life"
    """The green button with nothing to answer: I am well."""
    TEST = "test"
    FAULT = "fault"
    RENEWAL = "renewal"
    """A device asks for a certificate, or has taken it; its data has what became of it, and not the request."""
    IGNORED = "ignored"
    """Something that was said and changed nothing; its data has the reason."""
    EARLY = "early"
    """An answer to an alarm whose press has not been heard yet."""
    DEVICE_ONLINE = "device_online"
    DEVICE_OFFLINE = "device_offline"
