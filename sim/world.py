"""Who lives in a village: its register, drawn from a seed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from doorbell.wire import AlarmKind
from relay.core.policy import OnMistake, Policy, Step, parse_target
from relay.core.register import Community, Device, DeviceRole, Group, Hook, Household, Person, Register

COMMUNITY = "west-lake"
OFFICE_HOOK = "office-chat"


def build_register(chance: Random, households: int, communities: int = 1) -> Register:
    """So many communities of so many households each: that is what several relays share among them."""
    made = [_community(chance, number, households) for number in range(communities)]
    return Register(
        communities={key: one for register in made for key, one in register.communities.items()},
        households={key: one for register in made for key, one in register.households.items()},
        people={key: one for register in made for key, one in register.people.items()},
        devices={key: one for register in made for key, one in register.devices.items()},
        groups={key: one for register in made for key, one in register.groups.items()},
        hooks={key: one for register in made for key, one in register.hooks.items()},
        policies={policy.id: policy for policy in village_policies()},
    )


def _community(chance: Random, number: int, households: int) -> Register:
    """About three volunteers for every four households, and a small alliance. Of the second community on every id ends
    with its number."""
    mark = f"-{number + 1}" if number else ""
    community, hook = COMMUNITY + mark, OFFICE_HOOK + mark
    volunteers = max(3, households * 3 // 4)
    people = [Person(f"p{n:02d}{mark}", community, f"志愿者{n}") for n in range(1, volunteers + 1)]
    alliance = [Person(f"{name}{mark}", community, name) for name in ("doctor", "pharmacist", "clerk")]
    homes = [_household(chance, community, mark, n, people) for n in range(1, households + 1)]
    devices = [Device(f"panel-{h.id}", community, DeviceRole.PANEL, household=h.id) for h in homes]
    # A second panel beside the bed: its presses and its clock are its own, the alarm is the household's.
    devices += [replace(panel, id=f"{panel.id}-bed") for panel in devices if chance.random() < 0.15]
    for person in (*people, *alliance):
        # Some people have no bell at home yet, some have a second one upstairs.
        bells = chance.choices((0, 1, 2), (5, 85, 10))[0] if person not in alliance else 1
        devices += [
            Device(f"bell-{person.id}{'ab'[n] if bells > 1 else ''}", community, DeviceRole.BELL, person=person.id)
            for n in range(bells)
        ]
    # Most keep their own rare heartbeat: a day of minutes would be nothing but heartbeats.
    devices = [replace(d, report_interval_s=None if chance.random() < 0.9 else 900) for d in devices]
    groups = [
        Group(f"clinic{mark}", community, "medical", "社区卫生站", tuple(p.id for p in alliance[:2])),
        Group(f"office{mark}", community, "office", "居委会", (alliance[2].id,), (hook,)),
    ]
    return Register(
        communities={community: Community(community, "西湖山社区")},
        households={h.id: h for h in homes},
        people={p.id: p for p in (*people, *alliance)},
        devices={d.id: d for d in devices},
        groups={g.id: g for g in groups},
        hooks={hook: Hook(hook, community, "http://127.0.0.1:9/hook")},
    )


def village_policies() -> tuple[Policy, ...]:
    """Policies beside the product's default: somebody looks in, a hook first, an impatient one, one with gaps."""
    return (
        Policy("look-in", policy_steps(("volunteer:1", 45), ("everyone", 120)), on_mistake=OnMistake.LOOK_IN),
        Policy("hook-first", policy_steps(("volunteer:1 hook:office-chat", 30), ("volunteers", 60), ("everyone", 90))),
        Policy("impatient", policy_steps(("volunteer:1", 4), ("volunteers", 3), ("office", 60)), arrive_wait_s=120),
        Policy("gaps", policy_steps(("volunteer:5", 45), ("group:nobody", 30), ("everyone", 45)), done_wait_s=900),
    )


def edited(register: Register, chance: Random) -> Register:
    """The register after a working day at the office: a policy, a pair or a label has changed."""
    home = register.households[chance.choice(sorted(register.households))]
    match chance.randint(0, 3):
        case 0:
            policy = chance.choice(("", *sorted(register.policies)))
            changed = replace(home, policies=((AlarmKind.HELP, policy),) if policy else ())
        case 1:
            changed = replace(home, volunteers=tuple(chance.sample(home.volunteers, len(home.volunteers))))
        case 2:
            neighbours = sorted(p.id for p in register.people.values() if p.community == home.community)
            changed = replace(home, volunteers=tuple(chance.sample(neighbours, chance.randint(1, 3))))
        case _:
            changed = replace(home, label=f"{home.label}*"[:40])
    return replace(register, households={**register.households, home.id: changed})


def _household(chance: Random, community: str, mark: str, number: int, people: list[Person]) -> Household:
    policy = chance.choices(("", "look-in", "hook-first", "impatient", "gaps"), (60, 15, 10, 8, 7))[0]
    if mark and policy == "hook-first":
        policy = "impatient"  # that hook is the first community's
    return Household(
        f"h{number:02d}{mark}",
        community,
        f"{number}号奶奶",
        f"{number}栋",
        volunteers=tuple(p.id for p in chance.sample(people, chance.randint(1, 3))),
        policies=((AlarmKind.HELP, policy),) if policy else (),
    )


def policy_steps(*steps: tuple[str, int]) -> tuple[Step, ...]:
    """Steps from their targets in words and their waits in seconds."""
    return tuple(Step(tuple(parse_target(t) for t in targets.split()), wait_s) for targets, wait_s in steps)
