"""Who lives in the demo's neighbourhood, how long its policy waits, and all of it as a register."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from doorbell.wire import AlarmKind
from relay.core.policy import DEFAULT_POLICIES, MIN_WAIT_S, Policy, Target, TargetType
from relay.core.register import OFFICE_KIND, Community, Device, DeviceRole, Group, Hook, Household, Person, Register
from relay.texts import Language, Text
from relay.texts.timeline import tell_line
from sim.demo_sightings import JournalLine

COMMUNITY = "xihushan"
COMMUNITY_NAME = Text("西湖山小区", "Xihushan Estate")
OFFICE_HOOK = "office-chat"
OFFICE_NAME = Text("社区办公室", "community office")
MEDICAL_NAME = Text("医疗组", "medical group")
MAX_SPEED = 60.0
"""Faster than this every wait is the shortest that a policy may have, and the story is about nothing."""


@dataclass(frozen=True, slots=True)
class Elder:
    """An elder's home with its panel; ``volunteers`` are person ids in the order in which they are called."""

    household: str
    panel: str
    name: Text
    place: Text
    volunteers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Somebody with a bell at home or at work."""

    person: str
    bell: str
    name: Text
    role: Text


_VOLUNTEER = Text("志愿者", "volunteer")
ELDERS = (
    Elder(
        "home-liu",
        "panel-liu",
        Text("柳奶奶", "Grandma Liu"),
        Text("西湖山小区 3栋502", "Xihushan Estate 3-502"),
        ("peng", "zhang"),
    ),
    Elder(
        "home-zhou",
        "panel-zhou",
        Text("周爷爷", "Grandpa Zhou"),
        Text("西湖山小区 5栋101", "Xihushan Estate 5-101"),
        ("zhang", "peng"),
    ),
)
NEIGHBOURS = (
    Neighbour("peng", "bell-peng", Text("彭小平", "Peng Xiaoping"), _VOLUNTEER),
    Neighbour("zhang", "bell-zhang", Text("张阿姨", "Aunt Zhang"), _VOLUNTEER),
    Neighbour("doctor", "bell-doctor", Text("社区医生", "Doctor"), MEDICAL_NAME),
)
PANELS = tuple(elder.panel for elder in ELDERS)
BELLS = tuple(neighbour.bell for neighbour in NEIGHBOURS)
DEVICES = (*PANELS, *BELLS)
_NAMES: Mapping[str, Text] = {
    OFFICE_HOOK: OFFICE_NAME,
    **{elder.panel: elder.name for elder in ELDERS},
    **{elder.household: elder.name for elder in ELDERS},
    **{neighbour.bell: neighbour.name for neighbour in NEIGHBOURS},
    **{neighbour.person: neighbour.name for neighbour in NEIGHBOURS},
}


def name_of(any_id: str, language: Language) -> str:
    """The name behind the id of a device, person, household or hook; an id that we did not make up stays as it is."""
    name = _NAMES.get(any_id)
    return name.say(language) if name is not None else any_id


def demo_policy(speed: float) -> Policy:
    """The product's policy for help with every wait divided by ``speed``, rounded up, never below 1 s."""

    def shorter(wait_s: int) -> int:
        return max(MIN_WAIT_S, math.ceil(wait_s / speed))

    policy = DEFAULT_POLICIES[AlarmKind.HELP]
    return replace(
        policy,
        id="demo-help",
        steps=tuple(replace(step, wait_s=shorter(step.wait_s)) for step in policy.steps),
        arrive_wait_s=shorter(policy.arrive_wait_s),
        done_wait_s=shorter(policy.done_wait_s),
    )


def demo_register(policy: Policy, language: Language, office_url: str) -> Register:
    """The neighbourhood as a register, with its names in ``language``; the office is told at ``office_url``."""
    estate = COMMUNITY_NAME.say(language)
    homes = [
        Household(
            id=elder.household,
            community=COMMUNITY,
            label=elder.name.say(language),
            place=elder.place.say(language),
            volunteers=elder.volunteers,
            policies=((AlarmKind.HELP, policy.id),),
        )
        for elder in ELDERS
    ]
    devices = [Device(one.panel, COMMUNITY, DeviceRole.PANEL, household=one.household) for one in ELDERS]
    devices += [Device(one.bell, COMMUNITY, DeviceRole.BELL, person=one.person) for one in NEIGHBOURS]
    groups = (
        Group("medical", COMMUNITY, "medical", MEDICAL_NAME.say(language), members=("doctor",)),
        Group("office", COMMUNITY, OFFICE_KIND, OFFICE_NAME.say(language), hooks=(OFFICE_HOOK,)),
    )
    return Register(
        communities={COMMUNITY: Community(COMMUNITY, estate, language.value)},
        households={home.id: home for home in homes},
        people={one.person: Person(one.person, COMMUNITY, one.name.say(language)) for one in NEIGHBOURS},
        devices={device.id: device for device in devices},
        groups={group.id: group for group in groups},
        hooks={OFFICE_HOOK: Hook(OFFICE_HOOK, COMMUNITY, office_url)},
        policies={policy.id: policy},
    )


def call_name(target: Target, household: str, language: Language) -> str:
    """Whom a target of the policy means for this household, in words."""
    match target.type:
        case TargetType.VOLUNTEER:
            home = next((elder for elder in ELDERS if elder.household == household), ELDERS[0])
            place = int(target.name) - 1
            return name_of(home.volunteers[place], language) if place < len(home.volunteers) else str(target)
        case TargetType.VOLUNTEERS:
            return Text("两位志愿者", "both volunteers").say(language)
        case TargetType.GROUP:
            return MEDICAL_NAME.say(language)
        case TargetType.OFFICE:
            return OFFICE_NAME.say(language)
        case TargetType.EVERYONE:
            return Text("所有人，反复呼叫", "everyone, again and again").say(language)
        case TargetType.HOOK:
            return name_of(target.name, language)
        case _:
            assert_never(target.type)


def line_sentence(line: JournalLine, language: Language) -> str:
    """A journal line in words, with the names of those who live here instead of their ids."""

    def named(value: object) -> object:
        if isinstance(value, list):
            return [named(item) for item in value]
        return name_of(value, language) if isinstance(value, str) else value

    data = {key: named(value) for key, value in line.data.items()}
    device = name_of(line.device, language) if line.device is not None else None
    return tell_line(line.type, data, language, device=device)
