"""Signs: what must be seen for a step of the story to be true, and where in the chronicle it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from relay.core.alarm import NoteType
from sim.demo_cast import BELLS, PANELS
from sim.demo_sightings import Chronicle, DesiredView, DeviceView, JournalLine, OfficeMessage, Seen, Sighting


@dataclass(frozen=True, slots=True)
class Shows:
    """A device says by its light that it is at this stage; or at ``later``, which says more and may come in the same
    moment: a device is told states, and passes over one that was overtaken on its way."""

    device: str
    stage: str
    later: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """The panel has applied a desired state that names who is coming."""

    panel: str
    who: str


@dataclass(frozen=True, slots=True)
class Sounds:
    """A bell's chime really runs."""

    bell: str


@dataclass(frozen=True, slots=True)
class Noted:
    """The relay has written a line with these facts into its journal."""

    type: NoteType
    facts: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class OfficeTold:
    """The office's webhook has been told."""


@dataclass(frozen=True, slots=True)
class AllQuiet:
    """No bell sounds, all at one moment."""


@dataclass(frozen=True, slots=True)
class AtRest:
    """Every device at one moment: linked, nothing to send, no alarm, and both panels know that they are covered."""


Sign = Shows | Names | Sounds | Noted | OfficeTold | AllQuiet | AtRest


@dataclass(slots=True)
class Scene:
    """Every device as it was at a moment of the chronicle: the sightings replayed up to there."""

    devices: dict[str, DeviceView] = field(default_factory=dict)
    named: dict[tuple[str, int], str | None] = field(default_factory=dict)

    def take(self, what: Seen) -> None:
        """One sighting more."""
        match what:
            case DeviceView():
                self.devices[what.device] = what
            case DesiredView():
                self.named[what.device, what.rev] = what.who
            case _:
                pass


def find_sign(sign: Sign, chronicle: Chronicle, mark: int) -> Sighting | None:
    """The first sighting after ``mark`` with which the sign is true; what is true since before counts as of then."""
    sightings = chronicle.since()
    scene = Scene()
    first = len(sightings) - len(chronicle.since(mark))
    for index, sighting in enumerate(sightings):
        scene.take(sighting.what)
        if index >= first and _is_true(sign, scene, sighting.what):
            return sighting
    if (
        isinstance(sign, AllQuiet | AtRest)
        and first == len(sightings) > 0
        and _is_true(sign, scene, sightings[-1].what)
    ):
        return sightings[-1]  # nothing has happened since the mark
    return None


def _is_true(sign: Sign, scene: Scene, news: Seen) -> bool:
    match sign:
        case Shows(device, stage, later):
            return isinstance(news, DeviceView) and news.device == device and news.stage in (stage, later or stage)
        case Names(panel, who):
            view = scene.devices.get(panel)
            return view is not None and view.stage == "coming" and scene.named.get((panel, view.rev)) == who
        case Sounds(bell):
            return isinstance(news, DeviceView) and news.device == bell and bool(news.sounding)
        case Noted(kind, facts):
            return isinstance(news, JournalLine) and has_facts(news, kind, facts)
        case OfficeTold():
            return isinstance(news, OfficeMessage)
        case AllQuiet():
            return all(bell in scene.devices and not scene.devices[bell].sounding for bell in BELLS)
        case AtRest():
            return not not_at_rest(scene.devices.values())
        case _:
            assert_never(sign)


def has_facts(line: JournalLine, kind: NoteType, facts: Iterable[tuple[str, object]]) -> bool:
    """Whether a journal line is of this type and says this; of a list of bells or hooks it must have this one."""
    return line.type == kind.value and all(
        value in said if isinstance(said := line.data.get(key), list) else value == said for key, value in facts
    )


def not_at_rest(views: Iterable[DeviceView]) -> list[str]:
    """What is missing until the whole neighbourhood rests, device by device; empty when it does."""
    seen = {view.device: view for view in views}
    missing = []
    for device, light in (*((panel, "covered") for panel in PANELS), *((bell, "ready") for bell in BELLS)):
        view = seen.get(device)
        if view is None:
            missing.append(f"{device}: no news")
        elif (view.link, view.outbox, view.sounding, view.light) != (True, 0, (), light) or view.rev == 0:
            missing.append(f"{device}: light={view.light or '-'} link={view.link} rev={view.rev} outbox={view.outbox}")
    return missing


def stages_of(sightings: Sequence[Sighting], device: str) -> list[tuple[float, str]]:
    """The stages that a device went through, each with the time at which it began."""
    stages: list[tuple[float, str]] = []
    for sighting in sightings:
        if isinstance(sighting.what, DeviceView) and sighting.what.device == device:
            stage = sighting.what.stage
            if not stages or stages[-1][1] != stage:
                stages.append((sighting.at_s, stage))
    return stages
