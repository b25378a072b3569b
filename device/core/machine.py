"""The whole device as one pure function: buttons, role, outbox and twin put together.

``advance_device(state, event, moment, limits) -> (state, effects)``. Effects come in the order in which they were
decided; the shell sorts them into keep, forget, send, report, light, sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from device.core.bell import (
    BellLimits,
    BellState,
    advance_bell,
    bell_deadline,
    bell_light,
    bell_tellings,
    wanted_calls,
    with_answers,
)
from device.core.button import (
    ButtonInput,
    ButtonLimits,
    Held,
    IgnoredEdge,
    LostEdge,
    Pressed,
    Released,
)
from device.core.contact import ContactFault, ContactLimits, Thinned
from device.core.effects import Chime, Effect, Ignored, Noted, OutboxRow, Play, Report, Show, Tell, Tune
from device.core.line import LineState, advance_line, new_line
from device.core.moment import Moment
from device.core.outbox import (
    Connected,
    Disconnected,
    Found,
    Happened,
    OutboxInput,
    OutboxState,
    Receipts,
    RelaySpoke,
    Tick,
    advance_outbox,
    event_of,
    new_outbox,
    outbox_deadline,
)
from device.core.panel import (
    PanelLimits,
    PanelStage,
    PanelState,
    advance_panel,
    panel_deadline,
    panel_light,
    panel_tellings,
    with_presses,
)
from device.core.peer import PeerLimits, PeerState, peers_asked, peers_connected, peers_deadline, peers_due
from device.core.renewal import RenewalSaid
from device.core.role import (
    ButtonDown,
    ButtonHeld,
    ButtonName,
    ChimeStarted,
    ChimeStopped,
    DesiredApplied,
    LinkChanged,
    PeerSaid,
    Role,
    RoleInput,
    TimePassed,
)
from device.core.signals import Call, Light, Tone
from device.core.twin import TwinState, apply_desired, link_changed, report_deadline, report_due
from doorbell.wire import Desired, EventType


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """Every threshold of the core."""

    button: ButtonLimits = field(default_factory=ButtonLimits)
    contact: ContactLimits = field(default_factory=ContactLimits)
    panel: PanelLimits = field(default_factory=PanelLimits)
    bell: BellLimits = field(default_factory=BellLimits)
    report_interval_s: int = 60


@dataclass(frozen=True, slots=True)
class DeviceState:
    """All that a device knows. ``faults``: what is out of order now and was told, by code and subject.
    ``echo_until_ms``: so long an idle panel answers a press that does not count yet, monotonic."""

    buttons: Mapping[ButtonName, LineState]
    role: PanelState | BellState
    outbox: OutboxState
    twin: TwinState
    peer: PeerState = PeerState()
    faults: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    light: Light | None = None
    chime: tuple[Call, ...] = ()
    echo_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LineInput:
    """Something about a button's line."""

    button: ButtonName
    input: ButtonInput


@dataclass(frozen=True, slots=True)
class DesiredArrived:
    """A desired state came from the relay."""

    desired: Desired


@dataclass(frozen=True, slots=True)
class Trouble:
    """A part of the device fails or, with ``cleared``, works again. Told to the relay as a ``fault``, once each.

    ``code`` is a stable word (``button_stuck``, ``outbox_failed``, ``player_failed``), ``subject`` the part,
    ``text`` for a technician, at most 200 characters of it are sent.
    """

    code: str
    subject: str
    text: str = ""
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """Something was proven, or could not be, without an alarm; told to the relay as a ``test``.

    ``event_id``: a random UUID made by who asks, so that it can look for the receipt. ``detail``: what was proven, ids
    only; its ``of`` names the proof, and a newer one of the same name overtakes one that still waits.
    """

    event_id: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowsFound:
    """The outbox's disk could not be read at start and can be now: this lay on it."""

    rows: tuple[OutboxRow, ...]
    next_seq: int


DeviceInput = (
    RowsFound | LineInput | DesiredArrived | PeerSaid | LinkChanged | ChimeStarted | ChimeStopped | Trouble | Proof
    | RenewalSaid | TimePassed
)  # fmt: skip


def new_device(
    *,
    role: Role,
    lines: Mapping[ButtonName, bool],
    rows: Iterable[OutboxRow],
    next_seq: int,
    now_ms: int,
    limits: DeviceLimits,
) -> DeviceState:
    """The state at start. ``lines``: the level of every button that is fitted; ``rows``: what lies in the outbox."""
    outbox = new_outbox(rows, next_seq, now_ms)
    held = [one.row for one in outbox.waiting]
    helps = (row.id for row in held if row.type is EventType.HELP)
    return DeviceState(
        buttons=MappingProxyType({name: new_line(now_ms, active=active) for name, active in lines.items()}),
        role=with_presses(PanelState(), helps, now_ms)
        if role is Role.PANEL
        else with_answers(BellState(), held, now_ms),
        outbox=outbox,
        twin=TwinState(limits.report_interval_s, report_at_ms=now_ms),
    )


@dataclass(slots=True)
class _Turn:
    """What the functions below share while one event is taken in."""

    moment: Moment
    limits: DeviceLimits
    effects: list[Effect] = field(default_factory=list)


def advance_device(
    state: DeviceState, event: DeviceInput, moment: Moment, limits: DeviceLimits
) -> tuple[DeviceState, tuple[Effect, ...]]:
    """Take in one event of the outside; ``TimePassed`` once after the last event of a turn looks at the deadlines."""
    turn = _Turn(moment, limits)
    before = state
    match event:
        case LineInput(button, line):
            state = _line(state, button, line, turn)
        case DesiredArrived(desired):
            state = _desired(state, desired, turn)
        case LinkChanged(up):
            peer = peers_connected(state.peer, moment.now_ms, _peer_limits(state, limits), up=up)
            state = replace(state, twin=link_changed(state.twin, up=up), peer=peer)
            state = _outbox(state, Connected() if up else Disconnected(), turn)
            state = _role(state, event, turn)
        case ChimeStarted() | ChimeStopped():
            state = _role(state, event, turn)
        case PeerSaid(other, said):
            if other in _peers(state):
                state = _role(state, replace(event, under_way_ms=moment.under_way_ms(said)), turn)
                if isinstance(state.role, BellState):
                    told = {answer.event_id for answer in state.role.answers if answer.panel == other}
                    state = replace(state, peer=peers_asked(state.peer, told, moment.now_ms, limits.bell.peer))
            else:
                turn.effects.append(Ignored("not_a_peer", other))
        case Trouble():
            state = _trouble(state, event, turn)
        case Proof(event_id, detail) | RenewalSaid(event_id, detail):
            kind = EventType.TEST if isinstance(event, Proof) else EventType.RENEW
            happened = Happened(event_id, kind, moment.now_ms, detail=MappingProxyType(dict(detail)))
            state = _outbox(state, happened, turn)
        case RowsFound():
            state = _found(state, event, turn)
        case TimePassed():
            state = _outbox(state, Tick(), turn)
            state = _role(state, event, turn)
            state = _tell(state, turn)
            state = _report(state, turn)
    shown = before.light is not None and before.echo_until_ms is None and state.echo_until_ms is None
    if not shown or state.role is not before.role:
        state = _signal(state, turn)
    return state, tuple(turn.effects)


def device_deadline(state: DeviceState, limits: DeviceLimits) -> int | None:
    """The monotonic ms at which ``TimePassed`` changes something; None if only an event can. Buttons are apart: they
    need a sample (``device.core.line.lines_due``)."""
    role = (
        panel_deadline(state.role, limits.panel)
        if isinstance(state.role, PanelState)
        else bell_deadline(state.role, limits.bell)
    )
    outbox, report, peers = outbox_deadline(state.outbox), report_deadline(state.twin), peers_deadline(state.peer)
    deadlines = (outbox, report, peers, role, state.echo_until_ms)
    return min((at for at in deadlines if at is not None), default=None)


def _line(state: DeviceState, name: ButtonName, line: ButtonInput, turn: _Turn) -> DeviceState:
    if name not in state.buttons:
        turn.effects.append(Ignored("no_such_button", name))
        return state
    now_ms, limits = turn.moment.now_ms, turn.limits
    before = state.buttons[name]
    after, outcomes = advance_line(
        before, line, now_ms, limits.button, limits.contact, never_drop=name is ButtonName.HELP
    )
    if after is not before:
        state = replace(state, buttons=MappingProxyType({**state.buttons, name: after}))
    for outcome in outcomes:
        event_id = turn.moment.event_id(state.outbox.next_seq)
        match outcome:
            case Pressed(at_ms):
                turn.effects.append(Noted("button.pressed", name))
                state = _role(state, ButtonDown(name, at_ms, event_id), turn)
            case Held():
                held_at_ms = min(after.button.down_ms + limits.button.hold_ms, now_ms)
                state = _role(state, ButtonHeld(name, held_at_ms, event_id), turn)
            case ContactFault(code, text, cleared):
                state = _trouble(state, Trouble(code, name, text, cleared=cleared), turn)
            case Thinned(owed, echo):
                turn.effects.append(Ignored("press_deferred" if owed else "press_doubted", name))
                if echo:
                    turn.effects.append(Play(Tone.HEARD))
                    state = replace(state, echo_until_ms=now_ms + limits.contact.echo_ms)
            case LostEdge():
                turn.effects.append(Noted("button.edge_lost", name))
            case IgnoredEdge(reason):
                turn.effects.append(Ignored(f"edge_{reason}", name))
            case Released():
                pass
    return state


def _desired(state: DeviceState, desired: Desired, turn: _Turn) -> DeviceState:
    old = state.twin.desired
    twin, ignored = apply_desired(state.twin, desired)
    if ignored:
        turn.effects.extend(ignored)
        return state
    before = (None, None) if old is None else (old.settings.volume, old.settings.language)
    if (now := (desired.settings.volume, desired.settings.language)) != before:
        turn.effects.append(Tune(*now))
    state = _outbox(replace(state, twin=twin), Receipts(desired.stored), turn)
    if old is None or desired.rev > old.rev:
        state = _outbox(state, RelaySpoke(), turn)
    return _role(state, DesiredApplied(desired), turn)


def _found(state: DeviceState, found: RowsFound, turn: _Turn) -> DeviceState:
    helps = (row.id for row in found.rows if row.type is EventType.HELP)
    role = state.role
    role = (
        with_presses(role, helps, turn.moment.now_ms)
        if isinstance(role, PanelState)
        else with_answers(role, found.rows, turn.moment.now_ms)
    )
    state = _outbox(replace(state, role=role), Found(found.rows, found.next_seq), turn)
    return _role(state, TimePassed(), turn)  # found when its turn has looked at the deadlines already


def _trouble(state: DeviceState, trouble: Trouble, turn: _Turn) -> DeviceState:
    key = (trouble.code, trouble.subject)
    if trouble.cleared == (key not in state.faults):
        turn.effects.append(Ignored("fault_told_already", trouble.code))
        return state
    detail = {"code": trouble.code, "subject": trouble.subject, "text": trouble.text[:200], "cleared": trouble.cleared}
    event_id = turn.moment.event_id(state.outbox.next_seq)
    happened = Happened(event_id, EventType.FAULT, turn.moment.now_ms, detail=MappingProxyType(detail))
    turn.effects.append(
        Noted("fault.cleared" if trouble.cleared else "fault.raised", f"{trouble.code} {trouble.subject}")
    )
    state = replace(state, faults=state.faults - {key} if trouble.cleared else state.faults | {key})
    return _outbox(state, happened, turn)


def _role(state: DeviceState, event: RoleInput, turn: _Turn) -> DeviceState:
    role: PanelState | BellState
    if isinstance(state.role, PanelState):
        role, asked = advance_panel(state.role, event, turn.moment.now_ms, turn.limits.panel)
    else:
        role, asked = advance_bell(state.role, event, turn.moment.now_ms, turn.limits.bell)
    if role is not state.role:
        state = replace(state, role=role)
    for effect in asked:
        if isinstance(effect, Happened):
            state = _outbox(state, effect, turn)
        else:
            turn.effects.append(effect)
    return state


def _outbox(state: DeviceState, event: OutboxInput, turn: _Turn) -> DeviceState:
    outbox, asked = advance_outbox(state.outbox, event, turn.moment)
    turn.effects.extend(asked)
    return state if outbox is state.outbox else replace(state, outbox=outbox)


def _peers(state: DeviceState) -> tuple[str, ...]:
    return state.twin.desired.peers if state.twin.desired is not None else ()


def _peer_limits(state: DeviceState, limits: DeviceLimits) -> PeerLimits:
    return limits.panel.peer if isinstance(state.role, PanelState) else limits.bell.peer


def _tell(state: DeviceState, turn: _Turn) -> DeviceState:
    """Say on the direct way what is due there. Only what is still in the outbox: the rest the relay has."""
    if not state.outbox.waiting:
        return replace(state, peer=replace(state.peer, due=())) if state.peer.due else state
    role, peers = state.role, _peers(state)
    tellings = panel_tellings(role, peers) if isinstance(role, PanelState) else bell_tellings(role, peers)
    rows = {one.row.id: one.row for one in state.outbox.waiting}
    wanted = [one for one in tellings if one.event_id in rows]
    peer, due = peers_due(state.peer, wanted, turn.moment.now_ms, _peer_limits(state, turn.limits))
    for telling in due:
        said = event_of(rows[telling.event_id], turn.moment)
        turn.effects.extend(Tell(other, said) for other in telling.to)
    return state if peer is state.peer else replace(state, peer=peer)


def _report(state: DeviceState, turn: _Turn) -> DeviceState:
    ringing = state.role.sounding if isinstance(state.role, BellState) else ()
    twin, due = report_due(state.twin, ringing, turn.moment.now_ms)
    if due:
        turn.effects.append(Report(twin.rev, ringing, len(state.outbox.waiting), twin.interval_s))
    return state if twin is state.twin else replace(state, twin=twin)


def _signal(state: DeviceState, turn: _Turn) -> DeviceState:
    """Say what light and chime should be, where that has changed."""
    if state.echo_until_ms is not None and turn.moment.now_ms >= state.echo_until_ms:
        state = replace(state, echo_until_ms=None)
    if isinstance(state.role, PanelState):
        echo = state.echo_until_ms is not None and state.role.stage is PanelStage.IDLE
        light, chime = Light.HEARD if echo else panel_light(state.role), state.chime
    else:
        light, chime = bell_light(state.role), wanted_calls(state.role)
    if light is not state.light:
        turn.effects.append(Show(light))
    if chime != state.chime:
        turn.effects.append(Chime(chime))
    return state if light is state.light and chime == state.chime else replace(state, light=light, chime=chime)
