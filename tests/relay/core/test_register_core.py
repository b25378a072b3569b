"""Policies and targets as text, whom a target means, and whether a press would be heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.wire import AlarmKind, Coverage
from relay.core.coverage import coverage_of
from relay.core.policy import (
    DEFAULT_POLICIES,
    MAX_STEPS,
    MAX_WAIT_S,
    MIN_WAIT_S,
    THREE_PRESSES_S,
    Policy,
    Step,
    Target,
    TargetType,
    parse_target,
)
from relay.core.register import Device, DeviceRole, Hook, Household, Person, Register
from relay.core.roster import Call, resolve_targets
from tests.relay.doubles import BOARD, CHAT, DOCTOR, OFFICE, PENG, WANG, C, neighbourhood

GOOD = {
    "volunteer:1": Target(TargetType.VOLUNTEER, "1"),
    "volunteer:99": Target(TargetType.VOLUNTEER, "99"),
    "volunteers": Target(TargetType.VOLUNTEERS),
    "group:medical": Target(TargetType.GROUP, "medical"),
    "office": Target(TargetType.OFFICE),
    "everyone": Target(TargetType.EVERYONE),
    "hook:board": Target(TargetType.HOOK, "board"),
}


@pytest.mark.parametrize(("text", "target"), GOOD.items())
def test_a_target_is_read_and_written_alike(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert str(target) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("neighbour", "unknown target"),
        ("", "unknown target"),
        ("Volunteers", "unknown target"),
        ("volunteers ", "unknown target"),
        ("volunteer", "volunteer:NAME"),
        ("volunteer:", "volunteer:NAME"),
        ("volunteers:1", "write volunteers"),
        ("office:x", "write office"),
        ("volunteer:0", "volunteer:1 to volunteer:99"),
        ("volunteer:100", "volunteer:1 to volunteer:99"),
        ("volunteer:1\n", "volunteer:1 to volunteer:99"),
        ("volunteer:١", "volunteer:1 to volunteer:99"),
        ("group:Medical", "lower-case"),
        ("group:a b", "lower-case"),
        ("group:a\n", "lower-case"),
        ("hook:" + "x" * 64, "at most 63"),
    ],
)
def test_a_wrong_target_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_target(text)


@given(st.text() | st.sampled_from(sorted(GOOD)).flatmap(lambda t: st.text().map(lambda more: t + more)))
def test_a_target_parses_to_what_it_says_or_not_at_all(text: str) -> None:
    try:
        target = parse_target(text)
    except ValueError:
        return
    assert str(target) == text


@pytest.mark.parametrize("wait_s", [MIN_WAIT_S - 1, MAX_WAIT_S + 1, -5])
def test_waits_have_limits(wait_s: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        Step((parse_target("office"),), wait_s)
    with pytest.raises(ValueError, match=r"^arrive_wait_s "):
        Policy("p", DEFAULT_POLICIES[AlarmKind.HELP].steps, arrive_wait_s=wait_s)
    with pytest.raises(ValueError, match=r"^done_wait_s "):
        Policy("p", DEFAULT_POLICIES[AlarmKind.HELP].steps, done_wait_s=wait_s)


def test_a_policy_has_steps_and_a_step_has_targets() -> None:
    step = Step((parse_target("office"),), 1)
    with pytest.raises(ValueError, match="at least one target"):
        Step((), 5)
    for steps in ((), (step,) * (MAX_STEPS + 1)):
        with pytest.raises(ValueError, match="steps"):
            Policy("p", steps)
    assert len(Policy("p", (step,) * MAX_STEPS).steps) == MAX_STEPS


def test_the_default_for_help_is_that_of_the_product() -> None:
    said = [(" ".join(map(str, step.targets)), step.wait_s) for step in DEFAULT_POLICIES[AlarmKind.HELP].steps]
    assert said == [("volunteer:1", 45), ("volunteers", 45), ("group:medical office", 120), ("everyone", 120)]
    assert DEFAULT_POLICIES[AlarmKind.HELP].arrive_wait_s == 600
    assert DEFAULT_POLICIES[AlarmKind.HELP].done_wait_s == 3600
    assert DEFAULT_POLICIES[AlarmKind.HELP].id == "default-help"
    assert THREE_PRESSES_S == 60
    assert Step((parse_target("office"),), 86_400).wait_s == 24 * 3600, "the longest wait is a day"
    with pytest.raises(ValueError, match="outside"):
        Step((parse_target("office"),), 86_401)


@pytest.mark.parametrize(
    ("kind", "steps", "arrive_wait_s"),
    [
        (AlarmKind.CHECKIN, [("volunteer:1", 600), ("volunteers", 600), ("office", 600)], 3600),
        (AlarmKind.TECHNICAL, [("office", 1800)], 86_400),
        (AlarmKind.REQUEST, [("volunteers office", 1800)], 14_400),
    ],
)
def test_what_is_no_emergency_calls_fewer_and_waits_longer(
    kind: AlarmKind, steps: list[tuple[str, int]], arrive_wait_s: int
) -> None:
    """A look-in within the hour, a repair within a day, an errand within four hours; the ids stand in the journal."""
    policy = DEFAULT_POLICIES[kind]
    assert [(" ".join(map(str, step.targets)), step.wait_s) for step in policy.steps] == steps
    assert (policy.arrive_wait_s, policy.id) == (arrive_wait_s, f"default-{kind.value}")


def test_what_is_not_registered_of_somebody_is_empty() -> None:
    """A place that nobody has written is not spoken, a hook without a key is told unsigned."""
    assert Household("liu", C, "柳奶奶").place == ""
    assert Person("peng", C, "彭小平").phone == ""
    assert Hook("board", C, "https://board.example").secret_file == ""


# ---------------------------------------------------------------------------------------------------------------------
# Roster


@pytest.mark.parametrize(
    ("targets", "bells", "hooks"),
    [
        ("volunteer:1", (PENG,), ()),
        ("volunteer:2", (WANG,), ()),
        ("volunteer:3", (), ()),
        ("volunteers", (PENG, WANG), ()),
        ("group:medical", (DOCTOR,), (CHAT,)),
        ("group:clinic", (DOCTOR,), (CHAT,)),
        ("group:transport", (), ()),
        ("office", (OFFICE,), (BOARD,)),
        ("everyone", (PENG, WANG, DOCTOR, OFFICE), (CHAT, BOARD)),
        ("hook:board", (), (BOARD,)),
        ("hook:gone", (), ()),
        ("volunteer:2 volunteers office office", (WANG, PENG, OFFICE), (BOARD,)),
    ],
)
def test_whom_targets_mean(targets: str, bells: tuple[str, ...], hooks: tuple[str, ...]) -> None:
    parsed = [parse_target(target) for target in targets.split()]
    assert resolve_targets(neighbourhood(), "liu", parsed) == Call(bells, hooks)


def test_a_household_that_is_gone_calls_nobody() -> None:
    assert resolve_targets(neighbourhood(), "gone", [parse_target("everyone")]) == Call()


def test_nobody_of_another_community_is_called() -> None:
    call = resolve_targets(neighbourhood(), "chen", [parse_target("everyone")])
    assert "bell-far" not in call.bells
    assert call == Call((DOCTOR, OFFICE), (CHAT, BOARD))


def test_the_register_looks_up_by_pair() -> None:
    register = neighbourhood()
    assert register.volunteer_bells("liu") == (PENG, WANG)
    assert register.households_of_volunteer["peng"] == ("liu",)
    assert register.panels_of["liu"] == ("button-liu",)
    assert register.policy_for("liu", AlarmKind.HELP).id == "liu-help"
    assert register.policy_for("liu", AlarmKind.CHECKIN) is DEFAULT_POLICIES[AlarmKind.CHECKIN]
    assert register.policy_for("chen", AlarmKind.HELP) is DEFAULT_POLICIES[AlarmKind.HELP]


def test_a_bell_is_no_panel_and_a_panel_no_bell_whatever_else_is_written_of_them() -> None:
    bell = Device("bell-x", C, DeviceRole.BELL, household="liu", person="peng")
    panel = Device("button-x", C, DeviceRole.PANEL, household="liu", person="peng")
    spare = [Device("bell-spare", C, DeviceRole.BELL), Device("button-spare", C, DeviceRole.PANEL)]
    register = Register(devices={device.id: device for device in (bell, panel, *spare)})
    assert register.bells_of == {"peng": ("bell-x",)}
    assert register.panels_of == {"liu": ("button-x",)}


# ---------------------------------------------------------------------------------------------------------------------
# Coverage


@pytest.mark.parametrize(
    ("household", "online", "coverage"),
    [
        ("liu", {PENG, WANG}, Coverage.COVERED),
        ("liu", {WANG}, Coverage.THIN),
        ("liu", {DOCTOR, OFFICE}, Coverage.UNCOVERED),
        ("liu", set(), Coverage.UNCOVERED),
        ("chen", {PENG, WANG, DOCTOR, OFFICE}, Coverage.UNCOVERED),
        ("gone", {PENG}, Coverage.UNCOVERED),
    ],
)
def test_coverage_counts_volunteers_who_could_hear(household: str, online: set[str], coverage: Coverage) -> None:
    assert coverage_of(neighbourhood(), household, online) is coverage


def test_two_bells_of_one_volunteer_are_one_person() -> None:
    register = neighbourhood()
    more = {
        **register.devices,
        "bell-peng-2": register.devices[PENG].__class__("bell-peng-2", C, register.devices[PENG].role, person="peng"),
    }
    twice = Register(communities=register.communities, households=register.households, devices=more)
    assert coverage_of(twice, "liu", {PENG, "bell-peng-2"}) is Coverage.THIN
    assert coverage_of(twice, "liu", {"bell-peng-2"}) is Coverage.THIN, "one bell that hears is enough"
