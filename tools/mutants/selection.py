"""The tests that are to notice: which of them call a function, and how they are run once more in a fork."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import hypothesis
import pytest

EXAMPLES = 25
"""Of a property-based test, always the same ones: what is chosen by chance would kill one mutant today, another not."""
QUICK_S = 3.0
"""Seconds of processor time of a test with so few examples, its calls being watched; what takes longer is left out."""
WAITING = ("import threading", "import subprocess", "tests.device.waiting import", "tests.device.speakers import")
"""A file of tests in which this stands waits for threads or processes: not a test of a core, and left out."""


def quick_files(patterns: Iterable[str]) -> list[Path]:
    """The files of tests that match, without those that wait for something."""
    found = (path for pattern in patterns for path in sorted(Path().glob(pattern)))
    return [path for path in found if not any(word in path.read_text(encoding="utf-8") for word in WAITING)]


class Calls:
    """Which functions of given files are called, while ``watching``; the key is (file, function)."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files = frozenset(files)
        self.called: set[tuple[str, str]] = set()

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename in self._files:
            name = frame.f_code.co_qualname.split(".<locals>")[0]
            self.called.add((frame.f_code.co_filename, name))

    @contextmanager
    def watching(self) -> Iterator[set[tuple[str, str]]]:
        """What is called in the block, from any thread that starts in it."""
        self.called = set()
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield self.called
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


@dataclass(slots=True)
class Selection:
    """Which tests call a function, and what each takes in seconds of processor time."""

    calls: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    took_s: dict[str, float] = field(default_factory=dict)
    at_import: set[tuple[str, str]] = field(default_factory=set)
    """What is called when the cores and their tests are imported."""
    kills: Counter[str] = field(default_factory=Counter)

    def tests_of(self, file: str, function: str) -> list[str]:
        """The quick ones, those that have killed most first."""
        return sorted(self.calls.get((file, function), ()), key=lambda test: (-self.kills[test], self.took_s[test]))


def steady(item: pytest.Item) -> None:
    """Few examples of a property-based test, the same in every run."""
    target, name = getattr(item, "obj", None), "_hypothesis_internal_use_settings"
    found = getattr(target, name, None)
    machine = getattr(item, "cls", None)
    if found is None and isinstance(getattr(machine, "settings", None), hypothesis.settings):
        target, name, found = machine, "settings", getattr(machine, "settings", None)
    if isinstance(found, hypothesis.settings):
        chosen = hypothesis.settings(
            found,
            max_examples=min(found.max_examples, EXAMPLES),
            database=None,
            derandomize=True,
            deadline=None,
            phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        setattr(target, name, chosen)


RunTests = Callable[[list[str]], str]
"""Runs tests, by name, until one fails; returns which, or nothing."""
Work = Callable[[list[str], RunTests, Calls, Selection], None]


class Quick:
    """A pytest plugin: only the tests that were measured as quick, with few examples; keeps the first that fails."""

    def __init__(self, names: Container[str]) -> None:
        self._names = names
        self.failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the others out."""
        items[:] = [item for item in items if item.nodeid in self._names]
        for item in items:
            steady(item)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot even be imported has noticed too."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first that failed."""
        if report.failed and not self.failed:
            self.failed = report.nodeid


class Baseline:
    """A pytest plugin: collects, runs every test by itself once in a fork, and then gives both to ``work``."""

    def __init__(self, files: Iterable[str], work: Work) -> None:
        self.calls = Calls(files)
        self._work = work
        self._first_failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """What stands here has been collected, and is not marked as slow."""
        for item in items:
            steady(item)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first that failed."""
        if report.failed and not self._first_failed:
            self._first_failed = report.nodeid

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests."""
        sys.setprofile(None)
        factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined] # noqa: SLF001
        factory.getbasetemp()  # one for all forks
        chosen = Selection(at_import=set(self.calls.called))
        tests = {item.nodeid: item for item in session.items}
        if len(tests) != len(session.items):
            raise pytest.UsageError("two tests have one name")

        def run(names: list[str]) -> str:
            return self._run([tests[name] for name in names])

        self._work(list(tests), run, self.calls, chosen)
        return True

    def _run(self, items: list[pytest.Item]) -> str:
        """Run tests until one fails; returns which, or nothing."""
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._first_failed:
                break
        return self._first_failed


def measure(tests: list[str], run: RunTests, calls: Calls, to: Path) -> None:
    """In a fork: run each test once, and write to a file what it calls and takes, or that it fails."""
    took_s, called = {}, {}
    for test in tests:
        before = time.process_time()
        with calls.watching() as seen:
            failed = run([test])
        if failed:
            raise RuntimeError(f"fails without any change: {failed}")
        took_s[test], called[test] = time.process_time() - before, sorted(seen)
    to.write_text(json.dumps({"took_s": took_s, "called": called}), encoding="utf-8")


def read_measured(path: Path, into: Selection) -> None:
    """Take over what ``measure`` has written."""
    measured = json.loads(path.read_text(encoding="utf-8"))
    into.took_s = {test: took_s for test, took_s in measured["took_s"].items() if took_s <= QUICK_S}
    for test in into.took_s:
        for file, function in measured["called"][test]:
            into.calls[file, function].append(test)
