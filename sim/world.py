"""Who lives in a village: its register, drawn from a seed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from doorbell.wire import AlarmKind
from relay.core.policy import OnMistake, Policy, Step, parse_target
from relay.core.register import Community, Device, DeviceRole, Group, Hook, Household, Person, Register

COMMUNITY = "west-lake"
OFFICE_HOOK = "office-chat"


def build_register(chance: Random, households: int) -> Register:
    """A community of so many households, about three volunteers for every four of them, and a small alliance."""
    volunteers = max(3, households * 3 // 4)
    people = [Person(f"p{n:02d}", COMMUNITY, f"志愿者{n}") for n in range(1, volunteers + 1)]
    alliance = [Person(name, COMMUNITY, name) for name in ("doctor", "pharmacist", "clerk")]
    policies = village_policies()
    homes = [_household(chance, n, people) for n in range(1, households + 1)]
    devices = [Device(f"panel-{h.id}", COMMUNITY, DeviceRole.PANEL, household=h.id) for h in homes]
    # A second panel beside the bed: its presses and its clock are its own, the alarm is the household's.
    devices += [replace(panel, id=f"{panel.id}-bed") for panel in devices if chance.random() < 0.15]
    for person in (*people, *alliance):
        # Some people have no bell at home yet, some have a second one upstairs.
        bells = chance.choices((0, 1, 2), (5, 85, 10))[0] if person not in alliance else 1
        devices += [
            Device(f"bell-{person.id}{'ab'[n] if bells > 1 else ''}", COMMUNITY, DeviceRole.BELL, person=person.id)
            for n in range(bells)
        ]
    # Most keep their own rare heartbeat: a day of minutes would be nothing but heartbeats.
    devices = [replace(d, report_interval_s=None if chance.random() < 0.9 else 900) for d in devices]
    groups = [
        Group("clinic", COMMUNITY, "medical", "社区卫生站", ("doctor", "pharmacist")),
        Group("office", COMMUNITY, "office", "居委会", ("clerk",), (OFFICE_HOOK,)),
    ]
    return Register(
        communities={COMMUNITY: Community(COMMUNITY, "西湖山社区")},
        households={h.id: h for h in homes},
        people={p.id: p for p in (*people, *alliance)},
        devices={d.id: d for d in devices},
        groups={g.id: g for g in groups},
        hooks={OFFICE_HOOK: Hook(OFFICE_HOOK, COMMUNITY, "http://127.0.0.1:9/hook")},
        policies={p.id: p for p in policies},
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
            changed = replace(home, volunteers=tuple(chance.sample(sorted(register.people), chance.randint(1, 3))))
        case _:
            changed = replace(home, label=f"{home.label}*"[:40])
    return replace(register, households={**register.households, home.id: changed})


def _household(chance: Random, number: int, people: list[Person]) -> Household:
    policy = chance.choices(("", "look-in", "hook-first", "impatient", "gaps"), (60, 15, 10, 8, 7))[0]
    return Household(
        f"h{number:02d}",
        COMMUNITY,
        f"{number}号奶奶",
        f"{number}栋",
        volunteers=tuple(p.id for p in chance.sample(people, chance.randint(1, 3))),
        policies=((AlarmKind.HELP, policy),) if policy else (),
    )


def policy_steps(*steps: tuple[str, int]) -> tuple[Step, ...]:
    """Steps from their targets in words and their waits in seconds."""
    return tuple(Step(tuple(parse_target(t) for t in targets.split()), wait_s) for targets, wait_s in steps)
