"""A register written to a file and read again is the same register; changes between two are told."""

import io
import string
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from doorbell.wire import AlarmKind
from relay.core.policy import MAX_WAIT_S, OnMistake, Policy, Step, Target, TargetType
from relay.core.register import Community, Device, DeviceRole, Group, Hook, Household, Person, Register
from relay.register_changes import Change, compare_registers
from relay.register_check import Severity, check_register
from relay.register_file import HEAD, parse_register, write_register
from relay.register_shapes import hidden_character
from relay.toml_lines import locate_paths

EXAMPLE = Path(__file__).parents[2] / "config" / "neighbourhood.example.toml"
SLUG = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
SHOWN = st.characters(exclude_categories=["Cs"]).filter(lambda char: hidden_character(char) is None)
WAIT = st.integers(1, MAX_WAIT_S)


def words(limit: int) -> st.SearchStrategy[str]:
    return st.text(SHOWN, min_size=1, max_size=limit).filter(lambda text: bool(text.strip()))


def texts(limit: int) -> st.SearchStrategy[str]:
    return st.text(SHOWN, max_size=limit)


def some(ids: list[str], limit: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    if not ids:
        return st.just(())
    return st.lists(st.sampled_from(ids), unique=True, max_size=limit).map(tuple)


@st.composite
def registers(draw: st.DrawFn) -> Register:
    """Registers that a file may hold: at least one community, and every reference within one."""
    ids = (f"{letter}-{number}" for number, letter in enumerate(draw(st.permutations(string.ascii_lowercase)) * 3))
    communities = {c: Community(c, draw(words(60)), draw(st.sampled_from(["zh-CN", "en"]))) for c in [next(ids)]}
    (community,) = communities
    people = {p: Person(p, community, draw(words(40)), draw(texts(40))) for p in [next(ids) for _ in range(3)]}
    hooks = {
        h: Hook(h, community, "https://" + draw(SLUG), draw(st.sampled_from(["", "/etc/key"]))) for h in [next(ids)]
    }
    groups = {
        g: Group(g, community, draw(SLUG), draw(words(60)), draw(some(list(people))), draw(some(list(hooks))))
        for g in [next(ids)]
    }
    targets = st.one_of(
        st.sampled_from([Target(t) for t in (TargetType.VOLUNTEERS, TargetType.OFFICE, TargetType.EVERYONE)]),
        st.integers(1, 99).map(lambda place: Target(TargetType.VOLUNTEER, str(place))),
        st.sampled_from([Target(TargetType.GROUP, g) for g in groups] + [Target(TargetType.HOOK, h) for h in hooks]),
    )
    steps = st.builds(Step, st.lists(targets, min_size=1, max_size=3, unique=True).map(tuple), WAIT)
    policies = {
        p: Policy(
            p,
            tuple(draw(st.lists(steps, min_size=1, max_size=3))),
            draw(WAIT),
            draw(WAIT),
            draw(st.sampled_from(OnMistake)),
        )
        for p in [next(ids) for _ in range(draw(st.integers(0, 2)))]
    }
    kinds = [AlarmKind.HELP, AlarmKind.CHECKIN, AlarmKind.TECHNICAL, AlarmKind.REQUEST]
    households = {}
    for home in [next(ids) for _ in range(draw(st.integers(0, 3)))]:
        named = draw(st.lists(st.sampled_from(kinds), unique=True, max_size=4)) if policies else []
        households[home] = Household(
            home,
            community,
            draw(words(40)),
            draw(texts(60)),
            draw(some(list(people))),
            tuple((kind, draw(st.sampled_from(list(policies)))) for kind in named),
        )
    owners = [(DeviceRole.PANEL, h, None) for h in households] + [(DeviceRole.BELL, None, p) for p in people]
    devices = [
        Device(
            next(ids),
            community,
            role,
            home,
            person,
            draw(st.none() | st.integers(0, 100)),
            draw(st.none() | st.integers(5, 3600)),
        )
        for role, home, person in draw(st.lists(st.sampled_from(owners), max_size=8))
    ]
    return Register(communities, households, people, {device.id: device for device in devices}, groups, hooks, policies)


def written(register: Register) -> str:
    stream = io.StringIO()
    write_register(register, stream)
    return stream.getvalue()


@given(registers())
def test_a_register_survives_the_way_through_a_file(register: Register) -> None:
    text = written(register)
    read, problems = parse_register(text.encode())
    assert read == register
    assert [p for p in problems if p.severity is Severity.ERROR] == []
    assert written(read) == text


def test_the_order_of_bells_and_volunteers_survives() -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace('["bell-peng"]', '["z-bell", "bell-peng", "a-bell"]')
    read, _ = parse_register(written(parse_register(text)[0] or Register()))
    assert read is not None
    assert read.bells_of["peng"] == ("z-bell", "bell-peng", "a-bell")
    assert read.households["liu"].volunteers == ("peng", "zhang")


def test_the_head_explains_every_key_in_both_languages() -> None:
    from relay.register_shapes import TABLES  # noqa: PLC0415

    for table, keys in TABLES.items():
        assert f"[[{table}]]" in HEAD
        assert all(key in HEAD for key in keys), table
    assert "volunteers 按呼叫的先后写" in HEAD
    assert "Volunteers are called in their order" in HEAD


@given(st.text(alphabet=string.printable + "“”，＝[]\"'\n#= {}", max_size=200))
def test_any_text_is_answered_with_problems_and_not_with_a_crash(text: str) -> None:
    """Whatever a person saves by mistake, and at any place in a good file."""
    base = EXAMPLE.read_text(encoding="utf-8")
    assert check_register(text)
    for problem in check_register(base[:1000] + text + base[1000:]):
        assert 1 <= problem.line <= base.count("\n") + text.count("\n") + 1


def test_lines_are_found_whatever_stands_between() -> None:
    text = '''\
# [[household]] in a remark
top = """
[[household]]
id = "not one" \\
"""  # 2
[[household]]
"quoted key" = 1  # 7
a.'b c'."d" = 1.5  # 8
list = [ # [
    "x]", 'y"',  # 10
    2026-11-23 06:43:00, # 11
    [ 1, # 12
      { e = "}", f = [
        -1.5e3, # 14
      ] },
    ],
]
[household.sub]  # 18
k = 1979-05-27T07:32:00Z # 19

[[household]] # 21
[[household.deep]] # 22
x = true # 23
[[household.deep]] # 24
[[ other . "name" ]] # 25
y = \'\'\'
[z]\'\'\'
after = 1 # 28
'''
    expected = {
        ("top",): 2,
        ("household", 0): 6,
        ("household", 0, "quoted key"): 7,
        ("household", 0, "a", "b c", "d"): 8,
        ("household", 0, "list", 0): 10,
        ("household", 0, "list", 1): 10,
        ("household", 0, "list", 2): 11,
        ("household", 0, "list", 3): 12,
        ("household", 0, "list", 3, 0): 12,
        ("household", 0, "list", 3, 1, "e"): 13,
        ("household", 0, "list", 3, 1, "f", 0): 14,
        ("household", 0, "sub"): 18,
        ("household", 0, "sub", "k"): 19,
        ("household", 1): 21,
        ("household", 1, "deep", 0): 22,
        ("household", 1, "deep", 0, "x"): 23,
        ("household", 1, "deep", 1): 24,
        ("household", 1, "missing", 7): 21,
        ("other", "name", 0): 25,
        ("other", "name", 0, "after"): 28,
    }
    assert locate_paths(text, expected) == expected


def test_changes_between_two_registers_are_told_by_kind() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    old, _ = parse_register(text)
    new, _ = parse_register(text.replace("柳奶奶", "柳婆婆").replace('"bell-zhang"', '"bell-new"'))
    assert old is not None
    assert new is not None
    changes = compare_registers(old, new)
    assert {kind: change for kind, change in changes.items() if change} == {
        "households": Change(changed=("liu",)),
        "devices": Change(added=("bell-new",), removed=("bell-zhang",)),
    }
    assert not any(compare_registers(old, old).values())
