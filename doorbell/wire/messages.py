"""The messages of the wire contract, version 1, as frozen models with limits.

Readers ignore unknown fields, writers write every field. Every limit says where it comes from; a ``desired`` with
everything that a relay writes, in Chinese, stays under ``MAX_PAYLOAD_BYTES`` (rarer scripts: ``relay.core.desired``).

Additions to the contract, all optional and ignored by readers that do not know them: ``Event.seq`` (the device's own
rising number: tells an ``ok`` from before a press from one after it, whatever the clocks do), ``Ring.who`` and
``Ring.mine`` (so that a volunteer need not wonder whether another has gone), ``Desired.neighbours`` (who stands behind
each peer, so that a direct ring can be spoken), ``Desired.cert`` and the event ``renew`` (docs/adr/0015),
``Reported.faults``, and of ``Health`` everything from ``undervoltage_seen`` on.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from doorbell.ids import AlarmId, DeviceId, EventId

MAX_PAYLOAD_BYTES = 8 * 1024
"""Wire contract: no payload is larger."""
STORED_COUNT = 32
"""Receipts kept in a desired: the contract asks for at least this many (about 1.3 KiB)."""
MAX_STORED = 64
"""Receipts that a reader accepts: a relay of another make may keep more."""
MAX_IN_FLIGHT = 16
"""Events a device sends before it waits for receipts: below ``STORED_COUNT``, so no receipt is pushed out unseen."""
MAX_RINGS = 8
"""Alarms that one bell shows at once: 680 bytes each at the longest in Chinese; the most urgent come first."""
MAX_PRESSES = 1_000_000
"""Presses told of one alarm; a relay that has counted more says this."""
MAX_PEERS = 16
"""Devices that one is paired with: the volunteers of a household, or the households of a volunteer."""
MAX_FAULTS = 16
"""Faults that a reported may list, 110 bytes each: so many things at once do not fail on a device that still talks."""
MAX_RINGING = 32
"""Alarm ids that a reported may carry: more than a bell can ever be asked to ring."""
MAX_REQUEST = 2_000
"""Characters of a certificate request: one for EC P-256 has 450."""
MAX_CERTIFICATE = 4_000
"""Characters of a certificate with its issuing authority's: about 1,700, more with a long name of the community."""


FIRST_YEAR, LAST_YEAR = 1970, 2199
"""A Pi without a clock says 1970; a year outside these is a broken sender, and keeps arithmetic on times total."""


def _to_utc_ms(value: datetime) -> datetime:
    try:
        value = value.astimezone(UTC)
    except OverflowError:  # year 1 in the east, 9999 in the west
        raise ValueError("time is outside the calendar") from None
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"year {value.year} is outside {FIRST_YEAR} to {LAST_YEAR}")
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, the wire's only form of a time."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return f"{value.isoformat(timespec='milliseconds')[:-6]}Z"


def _only_finite(value: Any) -> Any:
    """NaN and infinity are no JSON, though some writers send them: a fault that holds one is still worth hearing."""
    match value:
        case float():
            return value if isfinite(value) else None
        case dict():
            return {key: _only_finite(item) for key, item in value.items()}
        case list():
            return [_only_finite(item) for item in value]
        case _:
            return value


WireTime = Annotated[
    AwareDatetime, AfterValidator(_to_utc_ms), PlainSerializer(format_time, return_type=str, when_used="json")
]
Label = Annotated[str, StringConstraints(min_length=1, max_length=40)]
"""40 characters: what a voice says in one breath; 120 bytes of UTF-8 in Chinese."""
Place = Annotated[str, StringConstraints(max_length=60)]
Firmware = Annotated[str, StringConstraints(max_length=40)]


class EventType(StrEnum):
    """What can happen at a device."""

    HELP = "help"
    OK = "ok"
    ACCEPT = "accept"
    DECLINE = "decline"
    DONE = "done"
    TEST = "test"
    FAULT = "fault"
    RENEW = "renew"


class ClockState(StrEnum):
    """Whether the device's wall clock has been set by NTP since boot."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"


class Stage(StrEnum):
    """How far help has come, as far as it is committed. ``RECEIVED`` is for panels only, ``ARRIVED`` shows on both."""

    RECEIVED = "received"
    RINGING = "ringing"
    ACCEPTED = "accepted"
    ARRIVED = "arrived"


class AlarmKind(StrEnum):
    """Why somebody is called. ``TEST`` rings no chime."""

    HELP = "help"
    CHECKIN = "checkin"
    TECHNICAL = "technical"
    REQUEST = "request"
    TEST = "test"


class Coverage(StrEnum):
    """Would somebody hear a press made now? ``THIN``: one bell only."""

    COVERED = "covered"
    THIN = "thin"
    UNCOVERED = "uncovered"


class Presence(StrEnum):
    """The plain-text payloads of the ``online`` topic: birth and last will."""

    ONLINE = "online"
    OFFLINE = "offline"


class WireModel(BaseModel):
    """Frozen; unknown fields are ignored, so that old readers understand new writers."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null", allow_inf_nan=False)


class Event(WireModel):
    """Something that happened at a device, once, with an id; sent again until ``desired.stored`` names it."""

    id: EventId
    type: EventType
    at: WireTime
    age_ms: Annotated[int, Field(ge=0, le=10 * 365 * 86_400_000)]
    """How long ago it happened by the monotonic clock, in ms, computed anew at every send. Ten years at most."""
    clock: ClockState
    alarm: AlarmId | None = None
    detail: Annotated[dict[str, Any], AfterValidator(_only_finite)] | None = None
    seq: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    """The device's own count of events, rising over restarts; None from devices that do not count."""


class PanelAlarm(WireModel):
    """The household's open alarm as the elder may see it: never more than is committed."""

    id: AlarmId
    stage: Stage
    who: Label | None = None
    since: WireTime


class Panel(WireModel):
    """What an elder's panel should show."""

    alarm: PanelAlarm | None = None
    coverage: Coverage = Coverage.UNCOVERED


class Ring(WireModel):
    """An alarm that a bell should show now: sounding while ``stage`` is ``ringing``, silent afterwards."""

    alarm: AlarmId
    kind: AlarmKind
    from_: Annotated[DeviceId, Field(alias="from")]
    label: Label
    place: Place = ""
    raised_at: WireTime
    stage: Stage
    presses: Annotated[int, Field(ge=1, le=MAX_PRESSES)] = 1
    who: Label | None = None
    mine: bool = False

    # Debian 13's pydantic 2.10 has no validate_by_name, and ignores serialize_by_alias: ``encode`` says by_alias too.
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)


class Neighbour(WireModel):
    """Who stands behind a peer, as it is spoken when no relay is there to say it. To a bell: the household's label and
    place; to a panel: the volunteer's name, and no place."""

    device: DeviceId
    label: Label
    place: Place = ""


class DeviceSettings(WireModel):
    """What the relay may set on a device. Absent means: the device's own default."""

    volume: Annotated[int, Field(ge=0, le=100)] | None = None
    """Per cent. An alarm is never silenced by it: devices sound alarms at 40 % at least."""
    language: Annotated[str, StringConstraints(max_length=16)] | None = None
    report_interval_s: Annotated[int, Field(ge=5, le=3600)] | None = None


class Desired(WireModel):
    """The whole state that the relay wants of one device. Retained; a lower ``rev`` than the last is ignored."""

    rev: Annotated[int, Field(ge=0, lt=2**53)]
    stored: Annotated[tuple[EventId, ...], Field(max_length=MAX_STORED)] = ()
    panel: Panel | None = None
    rings: Annotated[tuple[Ring, ...], Field(max_length=MAX_RINGS)] = ()
    peers: Annotated[tuple[DeviceId, ...], Field(max_length=MAX_PEERS)] = ()
    neighbours: Annotated[tuple[Neighbour, ...], Field(max_length=MAX_PEERS)] = ()
    settings: DeviceSettings = DeviceSettings()
    cert: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CERTIFICATE)] | None = None
    """PEM, the device's own first: what its newest ``renew`` asked for, until it says that it has taken it.
    A short name: with a longer one the fullest desired, in Chinese, would not fit."""


class Health(WireModel):
    """How a device is; None where it cannot be measured."""

    cpu_c: float | None = None
    wifi_dbm: int | None = None
    undervoltage: bool | None = None
    """Now, or within the last 2 s."""
    disk_free_mb: int | None = None
    """MB (10^6 bytes) left to the device on the partition of its outbox, as the other ``disk_`` fields."""
    battery_pct: int | None = None
    undervoltage_seen: bool | None = None
    """Since boot, as far as the firmware and the daemon that runs now remember."""
    throttled: bool | None = None
    """The firmware holds the processor's frequency down now, for want of power or for heat."""
    throttled_seen: bool | None = None
    soft_temp_limit: bool | None = None
    """The firmware has begun to slow down for heat: 60 to 80 degrees, by its settings."""
    disk_total_mb: int | None = None
    disk_read_only: bool | None = None
    disk_errors: int | None = None
    """Errors that ext4 has found since the last repair (fsck)."""
    disk_worn_pct: int | None = None
    """Of the memory's rated life used, at most: 10, 20, … 100; 110 is beyond it. eMMC only: SD cards do not tell."""
    on_battery: bool | None = None
    """There is a battery, and nothing else feeds the device now."""
    certificate_days: int | None = None
    """Whole days until our certificate ends, 0 once it has; None without one, or while the clock is not set."""


class Fault(WireModel):
    """A part of a device that is out of order: the same words as in the ``detail`` of its ``fault`` event."""

    code: Annotated[str, StringConstraints(max_length=40)]
    subject: Annotated[str, StringConstraints(max_length=40)]


class Reported(WireModel):
    """What a device has made of its desired state; also its heartbeat. Retained."""

    rev: Annotated[int, Field(ge=0, lt=2**53)]
    """The newest desired that the device has applied; 0 before the first."""
    ringing: Annotated[tuple[AlarmId, ...], Field(max_length=MAX_RINGING)] = ()
    """Alarms whose chime has really started."""
    firmware: Firmware
    clock: ClockState
    outbox: Annotated[int, Field(ge=0)] = 0
    uptime_s: Annotated[int, Field(ge=0)] = 0
    next_in_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    health: Health = Health()
    faults: Annotated[tuple[Fault, ...], Field(max_length=MAX_FAULTS)] | None = None
    """What is out of order now; None from devices that do not tell. A fault that was told as an event and does not
    stand here any more is over: a device that was started anew has forgotten that it owes the word for it."""
