"""Runs one target in this process: by atheris, guided by the branches that an input reaches, or by mutation alone."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutate import mutate_bytes
from tests.fuzz.subject import CostError, Meter, Subject, Target, place_of

POOL = 4_000
"""Inputs that mutation alone keeps to descend from."""
RARE = 20
"""An outcome that was seen less often than this is always kept."""
_LIBRARYS = 0.2
_GRAMMAR = 0.5
"""Share of changes that keep the grammar, where the target has one."""


@dataclass(slots=True)
class Tally:
    """What a run has seen. ``crashes``: where and what, with the first input of each."""

    target: str
    number: int
    done: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def as_json(self) -> dict[str, Any]:
        """For the parent process."""
        crashes = {place: [told, data.hex()] for place, (told, data) in self.crashes.items()}
        return {
            "target": self.target,
            "number": self.number,
            "done": self.done,
            "seconds": round(time.monotonic() - self.began, 2),
            "outcomes": dict(self.outcomes),
            "crashes": crashes,
        }


class Trial:
    """Gives inputs to a subject and counts what becomes of them; a crash is kept, and the run goes on."""

    def __init__(
        self, subject: Subject, tally: Tally, until_s: float = float("inf"), report: Path | None = None
    ) -> None:
        self._run = subject.run
        self._meter = Meter()
        self._until = time.monotonic() + until_s
        self._report = report
        self.tally = tally

    @property
    def over(self) -> bool:
        """Whether the run has had its inputs, or its time."""
        return self.tally.done >= self.tally.number or time.monotonic() >= self._until

    def take(self, data: bytes) -> str:
        """One input; returns its outcome, empty for a crash."""
        self.tally.done += 1
        if self._report is not None and not self.tally.done % 500:
            self.tell()
        try:
            with self._meter.watching():
                outcome = self._run(data)
        except (Exception, CostError) as error:  # noqa: BLE001 - all that a subject raises is what is looked for
            self.tally.crashes.setdefault(place_of(error), (f"{type(error).__name__}: {error}"[:500], data))
            return ""
        self.tally.outcomes[outcome] += 1
        return outcome

    def tell(self) -> None:
        """Tell the parent process how far it is."""
        if self._report is not None:
            self._report.write_text(json.dumps(self.tally.as_json()))


def run_alone(subject: Subject, trial: Trial, seed: int) -> None:
    """Mutation alone, the same for the same seed: the seeds first, then mutants of them and of rare ones."""
    random = Random(seed)
    seeds = subject.seeds()
    pool = [*seeds]
    for data in seeds[: trial.tally.number]:
        trial.take(data)
    while not trial.over:
        data = _changed(subject, random, random.choice(random.choice((seeds, pool))), pool)
        outcome = trial.take(data)
        if outcome and random.random() < RARE / trial.tally.outcomes[outcome]:
            if len(pool) < POOL:
                pool.append(data)
            else:
                pool[random.randrange(len(pool))] = data


def _changed(subject: Subject, random: Random, data: bytes, pool: list[bytes]) -> bytes:
    if subject.mutate is not None and random.random() < _GRAMMAR:
        return subject.mutate(random, data)[: subject.max_len]
    return mutate_bytes(random, data, subject.words, pool)[: subject.max_len]


def run_guided(target: Target, trial_of: Callable[[Subject], Trial], seed: int, corpus: Path) -> None:
    """By atheris; ends the process. What reached something new stays in ``corpus``, where the next run goes on."""
    import atheris  # noqa: PLC0415 - only on the platforms that have a wheel of it

    with atheris.instrument_imports(include=list(target.watched)):
        subject = target.load()
    trial = trial_of(subject)
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = subject.seeds()
    for data in seeds:
        (corpus / f"seed-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)

    def one(data: bytes) -> None:
        trial.take(data)
        if trial.over:
            trial.tell()
            os._exit(0)

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        """Half of the time from a seed, as the search drifts to what is refused early; rarely the library's own."""
        random = Random(seed)
        if random.random() < _LIBRARYS:
            return bytes(atheris.Mutate(data, max_size))
        return _changed(subject, random, random.choice((data, random.choice(seeds))), seeds)[:max_size]

    flags = [f"-seed={seed % 2**31 or 1}", f"-max_len={subject.max_len}", "-timeout=60", "-rss_limit_mb=4096"]
    # One change at a time: the default of up to five leaves hardly anything that is well formed.
    flags += [
        "-mutate_depth=1",
        "-print_final_stats=0",
        "-verbosity=0",
        "-reload=1",
        f"-artifact_prefix={corpus.parent}/",
        "-len_control=0",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one, custom_mutator=change)
    atheris.Fuzz()
