"""Tries the mutants of one package of cores.

What changes a function is tried in forks of a process that has collected all tests: the fork exchanges the function's
code, and runs the tests that call it, those first that have killed most so far, until one fails. What runs when a
module is imported (a constant, a default, a table) needs a process that has not imported it: a fork of this one, which
has loaded the libraries only. So does a function that is called at import, if it has survived.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import os
import pickle
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType
from typing import cast

import pytest

from tools.mutants.changes import Change, Mutant, mutants_of
from tools.mutants.forks import Forks, Tried, limit_processor_time
from tools.mutants.ledger import SURVIVED, Ledger
from tools.mutants.selection import Baseline, Calls, Quick, RunTests, Selection, measure, quick_files, read_measured
from tools.mutants.swap import code_of, exchange

PLAIN = (
    "-q",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "-m",
    "not slow and not system",
)
LIBRARIES = (
    "hypothesis.stateful", "pydantic", "structlog", "sqlalchemy", "time_machine", "rich.console", "typer",
    "doorbell.wire",
)  # fmt: skip
"""Loaded before forking, because every test would load them anew: what no core is part of."""
_LIKELY = 2
"""Files of tests that are asked first."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of cores, and the tests that know it by heart."""

    name: str
    tests: tuple[str, ...]

    def modules(self) -> dict[str, Path]:
        """By name, with their files."""
        files = sorted(Path(self.name.replace(".", "/")).glob("*.py"))
        return {f"{self.name}.{path.stem}": path for path in files if path.stem != "__init__"}


PACKAGES = (
    Package("relay.core", ("tests/relay/core/test_*.py", "tests/relay/test_r*.py", "tests/stories/test_*.py")),
    Package("device.core", ("tests/device/test_*.py", "tests/stories/test_*.py", "tests/test_wiring_pages.py")),
)


def parsed(path: Path) -> ast.Module:
    """A module's tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


class Trials:
    """All mutants of some modules of one package; ``tell`` hears of each that is settled."""

    def __init__(self, package: Package, ledgers: dict[str, Ledger], tell: Callable[[Tried], None], jobs: int) -> None:
        self.package = package
        self._ledgers = ledgers
        self._tell = tell
        self._jobs = jobs
        self.files = quick_files(package.tests)
        self._unsaved = 0
        self._scratch = Path()

    def run(self) -> None:
        """Try what the ledgers do not know yet."""
        with tempfile.TemporaryDirectory(prefix="doorbell-mutants-") as scratch:
            self._scratch = Path(scratch)
            for library in LIBRARIES:
                importlib.import_module(library)
            selection = self._in_collected_process()
            self._afresh(selection)

    def _settled(self, tried: Tried) -> None:
        ledger = self._ledgers[tried.name.partition(":")[0]]
        ledger.killers[tried.name] = tried.by
        self._unsaved += 1
        if self._unsaved >= 10:
            self._save()
        self._tell(tried)

    def _save(self) -> None:
        self._unsaved = 0
        for ledger in self._ledgers.values():
            ledger.save()

    def _unknown(self, module: str) -> list[tuple[Mutant, Callable[[], CodeType]]]:
        """What is still to be tried, each with how to compile it (once, and in a fork: it changes the tree)."""
        path = self.package.modules()[module]
        tree = parsed(path)

        def compiled(change: Change) -> CodeType:
            change.apply()
            return compile(ast.fix_missing_locations(tree), str(path.resolve()), "exec", dont_inherit=True)

        known = self._ledgers[module].killers
        return [(one, partial(compiled, change)) for one, change in mutants_of(module, tree) if one.name not in known]

    # --- functions

    def _in_collected_process(self) -> Selection:
        """In a fork, so that this process stays without the cores; its results come by file."""
        out = self._scratch / "selection"
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = self._collect_and_try(out)
            except BaseException:  # noqa: BLE001 # a fork must not run on where its parent does
                traceback.print_exc()
            os._exit(code)
        _, status = os.waitpid(pid, 0)
        if status or not out.is_file():
            raise RuntimeError(f"the tests of {self.package.name} do not pass by themselves: make test-fast")
        selection, killers = pickle.loads(out.read_bytes())  # noqa: S301 # our own, of a moment ago
        for module, found in killers.items():
            self._ledgers[module].killers = found
        return cast("Selection", selection)

    def _collect_and_try(self, out: Path) -> int:
        sources = {module: str(path.resolve()) for module, path in self.package.modules().items()}

        def work(tests: list[str], run: RunTests, calls: Calls, selection: Selection) -> None:
            measured = self._scratch / "measured"
            alone = Forks(1, lambda tried: print(tried.by, end="", file=sys.__stderr__), stuck_s=600)
            alone.add("", lambda _says: measure(tests, run, calls, measured))
            alone.finish()
            read_measured(measured, selection)
            forks = Forks(self._jobs, lambda tried: self._function_tried(tried, selection, sources))
            for module in self._ledgers:
                for mutant, compiled in self._unknown(module):
                    if mutant.function:
                        names = selection.tests_of(sources[module], mutant.function)
                        forks.add(mutant.name, partial(_try_exchanged, mutant, compiled, names, run, selection))
            forks.finish()
            self._save()
            killers = {module: ledger.killers for module, ledger in self._ledgers.items()}
            out.write_bytes(pickle.dumps((selection, killers)))

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # pytest's own, of every fork
        plugin = Baseline(sources.values(), work)
        sys.setprofile(plugin.calls)
        words = [*PLAIN, f"--basetemp={self._scratch / 'tmp'}", *map(str, self.files)]
        return int(pytest.main(words, plugins=[plugin]))

    def _function_tried(self, tried: Tried, selection: Selection, sources: dict[str, str]) -> None:
        module, function, _ = tried.name.split(":", 2)
        if tried.by == SURVIVED and (sources[module], function) in selection.at_import:
            return  # what it made at import was made before it was changed
        selection.kills[tried.by] += 1
        self._settled(tried)

    # --- what runs at import

    def _afresh(self, selection: Selection) -> None:
        """First by the few files that notice most of a module, then, what they let pass, by all that name it."""
        for chosen in (self._likely_files, self._naming_files):
            passed: list[Tried] = []
            forks = Forks(self._jobs, lambda tried, passed=passed: self._passed_or_settled(tried, passed))  # type: ignore[misc]
            for module in self._ledgers:
                for mutant, compiled in self._unknown(module):
                    base = self._scratch / f"tmp-{mutant.place}"
                    forks.add(mutant.name, partial(_try_imported, mutant, compiled, chosen(module), selection, base))
            forks.finish()
        for tried in passed:
            self._settled(tried)
        self._save()

    def _passed_or_settled(self, tried: Tried, passed: list[Tried]) -> None:
        if tried.by == SURVIVED:
            passed.append(tried)
        else:
            self._settled(tried)

    def _naming_files(self, module: str) -> list[Path]:
        return [path for path in self.files if module in path.read_text(encoding="utf-8")] or self.files

    def _likely_files(self, module: str) -> list[Path]:
        """Those that have noticed most of its mutants so far, and those that are called after it."""
        noticed = Counter(by.partition("::")[0] for by in self._ledgers[module].killers.values())
        most = [name for name, _ in noticed.most_common(_LIKELY)]
        own = f"test_{module.rpartition('.')[2]}"
        return [path for path in self.files if str(path) in most or path.stem.startswith(own)] or self.files[:1]


def _try_exchanged(
    mutant: Mutant, compiled: Callable[[], CodeType], names: list[str], run: RunTests, selection: Selection, says: int
) -> None:
    """In a fork of the process that has collected."""
    code = code_of(compiled(), mutant.function)
    exchange(sys.modules[mutant.module], mutant.function, code)
    limit_processor_time(sum(selection.took_s[name] for name in names))
    os.write(says, run(names).encode())


def _try_imported(
    mutant: Mutant, compiled: Callable[[], CodeType], files: list[Path], selection: Selection, base: Path, says: int
) -> None:
    """In a fork of the process that has imported libraries only: the module's loader gives the changed code."""
    code, usual = compiled(), importlib.machinery.SourceFileLoader.get_code

    def get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
        return code if name == mutant.module else usual(loader, name)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
    limit_processor_time(sum(selection.took_s.values()))
    plugin = Quick(selection.took_s)
    result = pytest.main([*PLAIN, "-x", f"--basetemp={base}", *map(str, files)], plugins=[plugin])
    shutil.rmtree(base, ignore_errors=True)
    if result is not pytest.ExitCode.OK:
        os.write(says, (plugin.failed or f"pytest ends with {result}").encode())
