"""What became of each mutant, kept in build/mutants/ so that a run that was ended goes on where it was."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path("build/mutants")
EQUIVALENTS = Path("tools/mutants/equivalent.toml")
SURVIVED = ""


def digest(paths: Iterable[Path]) -> str:
    """Of the contents of files."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]


@dataclass(slots=True)
class Ledger:
    """The results of one module. ``killers``: by mutant the test that failed, empty if none did.

    They are good for one source of the module. After a change of the tests what survived is tried again; what was
    killed is not, unless asked for.
    """

    module: str
    source: str
    tests: str
    killers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return FOLDER / f"{self.module}.json"

    def save(self) -> None:
        """Keep it, whole or not at all."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        kept = {"source": self.source, "tests": self.tests, "killers": self.killers}
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
        part.replace(self.path)


def open_ledger(module: str, source: Path, tests: str, *, fresh: bool, known: bool = False) -> Ledger:
    """What is known of a module from earlier runs. ``known``: with what survived tests that have changed since."""
    ledger = Ledger(module, digest([source]), tests)
    if fresh or not ledger.path.is_file():
        return ledger
    kept = json.loads(ledger.path.read_text(encoding="utf-8"))
    if kept["source"] == ledger.source:
        same = known or kept["tests"] == tests
        ledger.killers = {name: by for name, by in kept["killers"].items() if by != SURVIVED or same}
    return ledger


def load_listed(kind: str, path: Path = EQUIVALENTS) -> dict[str, str]:
    """Mutants that survive, by name, and why: ``equivalent`` (no test can notice them) or ``left`` (none should).

    Raises:
        ValueError: one is listed twice, or without a reason: ours to mend.
    """
    found: dict[str, str] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get(kind, []):
        for name in entry["mutants"]:
            if name in found or not entry["why"].strip():
                raise ValueError(f"{path}: {name} is listed twice or without a reason")
            found[name] = entry["why"]
    return found
