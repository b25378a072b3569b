"""The tool that makes the cores wrong on purpose: what it changes, how it tries it, what it tells."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.device.waiting import wait_until
from tools.mutants.changes import mutants_of
from tools.mutants.forks import Forks, Tried
from tools.mutants.ledger import digest, load_listed, open_ledger
from tools.mutants.report import Row, least, score_pct, survivors, table, untrue
from tools.mutants.swap import code_of, exchange
from tools.mutants.trials import PACKAGES, parsed

ROOT = Path(__file__).resolve().parent.parent


def variants(source: str) -> list[str]:
    """The code of every mutant."""
    found = []
    for place in range(len(mutants_of("m", ast.parse(source)))):
        tree = ast.parse(source)
        mutants_of("m", tree)[place][1].apply()
        found.append(ast.unparse(ast.fix_missing_locations(tree)))
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a is b", ["x = a is not b"]),
        ("x = a and b", ["x = a or b"]),
        ("x = not a", ["x = a"]),
        ("x = a + b", ["x = a - b"]),
        ("x = a | b", ["x = a & b"]),
        ("x = Aa | Bb", []),
        ("x = ONE | TWO", ["x = ONE & TWO"]),
        ("x += y", ["x -= y"]),
        ("x = min(a, b)", ["x = max(a, b)"]),
        ("x = 3", ["x = 4"]),
        ("x = 45", ["x = 90"]),
        ("x = True", ["x = False"]),
        ("x = 'word'", ["x = 'wordXX'"]),
        ("x = 'a sentence'", []),
        ("x = f'{a}/{b}'", ["x = f'{a}/XX{b}'"]),
        ("'''Word.'''\ndef f():\n    '''Word.'''", []),
        ("x: 'word'", []),
        ("if a is b:\n    f", ["if True:\n    f", "if False:\n    f"]),
        ("if a < b:\n    f", ["if True:\n    f", "if False:\n    f", "if a <= b:\n    f"]),
        ("x = y if a else b", ["x = y if True else b", "x = y if False else b"]),
        ("x = [y for y in z if y]", ["x = [y for y in z if True]", "x = [y for y in z if False]"]),
        ("x = replace(a, b=c)", ["x = replace(a)"]),
        ("x = (*a, b)", ["x = (b,)", "x = (*a,)"]),
        ("x = a, b", []),
        ("x = [a, b]", ["x = [b]", "x = [a]"]),
        ("f(a)", ["pass"]),
        ("for x in y:\n    continue", ["for x in y:\n    break"]),
        ("match a:\n    case B():\n        f\n    case C():\n        g",
         ["match a:\n    case C():\n        g", "match a:\n    case B():\n        f"]),
        ("match a:\n    case B():\n        f\n    case _:\n        assert_never(a)",
         ["match a:\n    case _:\n        assert_never(a)"]),
        ("raise ValueError('word')", []),
        ("if __name__ == '__main__':\n    pass", []),
    ],
)  # fmt: skip
def test_what_is_changed_and_what_is_not(source: str, expected: list[str]) -> None:
    assert variants(source) == expected


def test_a_mutant_is_known_by_its_function_and_not_by_its_line() -> None:
    source = (
        "def f(a=3):\n    return [a == 1, a == 1]\nclass C:\n    x: int = 1\n    def m(self):\n        return lambda: 0"
    )
    names = [one.name for one, _ in mutants_of("m", ast.parse(source))]
    moved = [one.name for one, _ in mutants_of("m", ast.parse("# a comment\n\n" + source))]
    assert names == moved
    assert "m:f: `a == 1` → `a != 1`" in names
    assert "m:f: `a == 1` → `a != 1` #2" in names
    assert [name for name in names if name.startswith("m::")] == ["m:: `3` → `4` in `a=3`", "m:: `1` → `2`"]
    assert "m:C.m: `0` → `1` in `lambda: 0`" in names
    assert len(set(names)) == len(names)


def test_the_names_of_the_cores_mutants_are_theirs_alone() -> None:
    names = [
        mutant.name
        for package in PACKAGES
        for module, path in package.modules().items()
        for mutant, _ in mutants_of(module, parsed(path))
    ]
    assert len(names) > 2500
    assert len(set(names)) == len(names)
    equivalent, left = load_listed("equivalent"), load_listed("left")
    assert not {*equivalent, *left} - set(names), "tools/mutants/equivalent.toml lists what exists no more"
    assert not set(equivalent) & set(left)


def _module(source: str) -> ModuleType:
    module = ModuleType("made")
    sys.modules["made"] = module
    exec(source, vars(module))  # noqa: S102 # the test's own
    return module


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    return 1\nused = f",
        "class C:\n    @property\n    def f(self):\n        return 1\nused = lambda: C().f",
        "class C:\n    @staticmethod\n    def f():\n        return 1\nused = C.f",
        "from functools import lru_cache\n@lru_cache\ndef f():\n    return 1\nused = f\nused()",
        "import dataclasses as d\n@d.dataclass(slots=True)\nclass C:\n    def f(self):\n        return 1\nused = C().f",
    ],
)
def test_a_functions_code_is_exchanged_for_everybody_who_has_it(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made", ModuleType("made"))
    module = _module(source)
    function = "C.f" if "class C" in source else "f"
    other = compile(source.replace("return 1", "return 2"), "made", "exec")
    used = vars(module)["used"]
    assert used() == 1
    exchange(module, function, code_of(other, function))
    assert used() == 2


def _ended(*runs: str) -> list[str]:
    """What forks that do this are said to have been ended by."""
    ended: dict[str, str] = {}
    forks = Forks(2, lambda tried: ended.__setitem__(tried.name, tried.by), stuck_s=5)

    def run(what: str, says: int) -> None:
        match what:
            case "fail":
                os.write(says, b"test_a")
            case "raise":
                raise KeyError(what)
            case "abort":
                os.kill(os.getpid(), signal.SIGTERM)
            case "hang":
                os.kill(os.getpid(), signal.SIGXCPU)
            case _:
                pass

    for what in runs:
        forks.add(what, lambda says, what=what: run(what, says))  # type: ignore[misc]
    forks.finish()
    return [ended[what] for what in runs]


def test_a_fork_says_which_test_failed_and_one_that_breaks_has_not_survived() -> None:
    assert _ended("pass", "fail", "raise", "abort", "hang") == [
        "", "test_a", "KeyError: 'raise'", f"ended by signal {int(signal.SIGTERM)}", "hung",
    ]  # fmt: skip


def test_what_ran_while_all_stood_still_is_run_again(tmp_path: Path) -> None:
    """A test that waits with a bound fails by a pause alone, and would have killed its mutant."""
    ended: list[Tried] = []
    forks = Forks(1, ended.append)
    tries = tmp_path / "tries"

    def run(says: int) -> None:
        with tries.open("a") as file:
            file.write("x")
        if tries.read_text() == "x":
            os.write(says, b"a wait was over")

    forks.add("m", run)
    wait_until(lambda: tries.exists() and tries.read_text())
    forks._looked -= 60  # as if this process had been stopped for a minute
    forks.finish()
    assert (ended, tries.read_text()) == ([Tried("m", "")], "xx")


def test_results_are_kept_as_long_as_they_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "m.py"
    source.write_text("x = 1")
    ledger = open_ledger("m", source, "tests-1", fresh=False)
    ledger.killers.update({"m:: a": "test_a", "m:: b": ""})
    ledger.save()
    assert open_ledger("m", source, "tests-1", fresh=False).killers == {"m:: a": "test_a", "m:: b": ""}
    assert open_ledger("m", source, "tests-2", fresh=False).killers == {"m:: a": "test_a"}
    assert open_ledger("m", source, "tests-2", fresh=False, known=True).killers == {"m:: a": "test_a", "m:: b": ""}
    assert open_ledger("m", source, "tests-1", fresh=True).killers == {}
    source.write_text("x = 2")
    assert open_ledger("m", source, "tests-1", fresh=False).killers == {}
    assert digest([source]) != ledger.source


def test_what_is_equivalent_is_no_kill_and_must_be_true() -> None:
    rows = [Row("m", {"m:f: a": "test_a", "m:f: b": "", "m:f: c": "", "m:f: d": "test_d"})]
    equivalents = {"m:f: b": "for a reason"}
    assert score_pct(rows) == 50
    assert score_pct(rows, equivalents) == pytest.approx(100 * 2 / 3)
    assert table(rows, equivalents)[-1] == "| **all** | 4 | 4 | 2 | 1 | 1 | 50.0 | 66.7 |"
    assert (
        table([Row("m", {"m:f: a": "test_a"}, untried=3)], {})[-1] == "| **all** | 4 | 1 | 1 | 0 | 0 | 100.0 | 100.0 |"
    )
    assert least([Row("m", {"m:f: a": "test_a"}, untried=3)]).endswith("1 are known to be killed: 25.0 %.")
    assert table([Row("m", {}, untried=3)], {})[-1] == "| **all** | 3 | 0 | 0 | 0 | 0 | – | – |"
    assert survivors(rows, equivalents, {}) == ["- m:f: c"]
    assert survivors(rows, equivalents, {"m:f: c": "a limit"}) == ["- m:f: c: a limit"]
    assert untrue(rows, equivalents) == []
    assert untrue(rows, {"m:f: d": "why", "m:f: gone": "why", "other:: x": "why"}) == [
        "does not exist any more: m:f: gone",
        "does not survive, test_d notices: m:f: d",
    ]


@pytest.mark.parametrize("entry", ['mutants = ["a"]\nwhy = " "', 'mutants = ["a", "a"]\nwhy = "because"'])
def test_an_equivalent_has_one_reason(entry: str, tmp_path: Path) -> None:
    listed = tmp_path / "equivalent.toml"
    listed.write_text(f"[[equivalent]]\n{entry}\n")
    with pytest.raises(ValueError, match="twice or without a reason"):
        load_listed("equivalent", listed)


@pytest.mark.slow
def test_the_command_tries_a_small_module() -> None:
    """Real forks and tests: whether a household is covered is noticed to the last mutant."""
    words = [sys.executable, "-m", "tools.mutants", "relay.core.coverage", "--fresh", "--jobs", "1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| `relay.core.coverage` | 6 | 6 | 6 | 0 | 0 | 100.0 | 100.0 |" in done.stdout
