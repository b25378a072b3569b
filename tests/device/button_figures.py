"""The button core against many living rooms: the figures of docs/button.md.

    python -m tests.device.button_figures                      # 100,000 lines, some minutes
    python -m tests.device.button_figures --lines 2000
    python -m tests.device.button_figures --write              # and into docs/button.md

Half of the lines are quiet, half live in interference (``tests.device.line_model``); one in 500 is held for hours. The
lines are the same at every run: number n is made by the seed n. Exits with 1 if a sure press was missed or told twice,
or if noise has raised one.
"""

from __future__ import annotations

import argparse
import bisect
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from device.core.button import ButtonLimits, Pressed
from device.core.contact import ContactFault, ContactLimits, ContactState, advance_contact, contact_deadline
from tests.device.line_model import MS, SURE_NOISE_US, Finger, Story, observe, story

PAGE = Path(__file__).resolve().parents[2] / "docs" / "button.md"
MARKER = "<!-- tests/device/button_figures.py writes below -->\n"
LIMITS = ButtonLimits()
CHUNK = 250
HOURS_EVERY = 500

PRESS_BINS = ((45, "40-45 ms"), (60, "45-60 ms"), (100, "60-100 ms"), (1_000, "0.1-1 s"), (60_000, "1-6 s"))
BOUNCE_BINS = ((0, "none"), (5, "to 5 ms"), (18, "5-18 ms"))
NOISE_BINS = ((0.1, "under 0.1 ms"), (1, "0.1-1 ms"), (5, "1-5 ms"), (10, "5-10 ms"), (18, "10-18 ms"))


@dataclass
class Figures:
    """Counts over many lines; those of two runs add up."""

    lines: Counter[str] = field(default_factory=Counter)
    presses: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(line, length, bounce) of sure presses."""
    missed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    doubled: int = 0
    noise: Counter[str] = field(default_factory=Counter)
    raised: Counter[str] = field(default_factory=Counter)
    delays_ms: dict[str, list[int]] = field(default_factory=dict)
    lossy: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Take in another part's counts."""
        for name in ("lines", "presses", "missed", "noise", "raised", "lossy"):
            getattr(self, name).update(getattr(other, name))
        self.doubled += other.doubled
        for kind, delays in other.delays_ms.items():
            self.delays_ms.setdefault(kind, []).extend(delays)


def _bin(value: float, bins: tuple[tuple[float, str], ...]) -> str:
    return next((name for top, name in bins if value <= top), "hours")


def _of(finger: Finger, kind: str) -> tuple[str, str, str]:
    length = _bin((finger.end_us - finger.start_us) / MS, PRESS_BINS)
    return kind, length, _bin(sum(finger.down) / MS, BOUNCE_BINS)


def play(numbers: Iterable[int]) -> Figures:
    """Play the lines of these numbers."""
    figures = Figures()
    for number in numbers:
        noisy = number % 2 == 1
        kind = "noisy" if noisy else "quiet"
        hours = number % HOURS_EVERY == 0
        told = story(random.Random(number), noisy=noisy, hours=hours)
        verdict = observe(told, LIMITS)
        figures.lines[kind] += 1
        missed = {id(one) for one in verdict.missed}
        for finger in told.fingers:
            if finger.sure:
                figures.presses[_of(finger, kind)] += 1
                figures.missed[_of(finger, kind)] += id(finger) in missed
        figures.doubled += len(verdict.doubled)
        for start, end in told.noise:
            figures.noise[_bin((end - start) / MS, NOISE_BINS)] += 1
        starts = [start for start, _ in told.noise]
        for at_ms in verdict.raised:
            near = max(0, bisect.bisect_right(starts, (at_ms + 1) * MS) - 1)
            pulse = told.noise[near] if told.noise else (0, SURE_NOISE_US)
            figures.raised[_bin((pulse[1] - pulse[0]) / MS, NOISE_BINS)] += 1
        delays = figures.delays_ms.setdefault("stalled" if told.stalls else kind, [])
        delays += [delay // MS for delay in verdict.delays_us]
        if number % 10 < 2:
            _play_lossy(number, noisy, figures)
    return figures


def _play_lossy(number: int, noisy: bool, figures: Figures) -> None:
    told: Story = replace(story(random.Random(number), noisy=noisy, lossy=True), loss=0.02)
    verdict = observe(told, LIMITS)
    kind = "noisy" if noisy else "quiet"
    figures.lossy[f"{kind} presses"] += verdict.presses
    figures.lossy[f"{kind} missed"] += len(verdict.missed)
    figures.lossy[f"{kind} raised"] += len(verdict.raised)
    figures.lossy[f"{kind} pulses"] += len(told.noise)


def chatter(per_s: float, hours: int, limits: ContactLimits, *, never_drop: bool) -> tuple[int, float, int]:
    """A contact that closes so often: presses told in the first minute, per hour after the first hour, faults told."""
    state, chance, now, end = ContactState(), random.Random(7), 10_000, 10_000 + hours * 3_600_000
    times: list[int] = []
    faults = 0
    coming = now
    while now < end:
        deadline = contact_deadline(state, limits)
        if deadline is not None and deadline < coming:
            now, outcomes = max(now, deadline), []
        else:
            now, outcomes = coming, [Pressed(coming)]
            coming += max(1, round(chance.expovariate(per_s) * 1_000))
        state, passed = advance_contact(state, outcomes, now, limits, never_drop=never_drop)
        times += [now for one in passed if isinstance(one, Pressed)]
        faults += sum(isinstance(one, ContactFault) for one in passed)
    first = sum(at < 70_000 for at in times)
    later = sum(at >= 3_610_000 for at in times) / (hours - 1)
    return first, later, faults


def _quantile(values: list[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report(figures: Figures) -> str:
    """The figures as Markdown."""
    lines = [
        f"{figures.lines['quiet']:,} quiet lines and {figures.lines['noisy']:,} in interference.",
        "",
        "Presses of 40 ms or longer, with bouncing of at most 18 ms: missed / made.",
        "",
        "| line | length | " + " | ".join(f"bounce {name}" for _, name in BOUNCE_BINS) + " |",
        "| --- | --- |" + " ---: |" * len(BOUNCE_BINS),
    ]
    for kind in ("quiet", "noisy"):
        for length in (*(name for _, name in PRESS_BINS), "hours"):
            cells = [(kind, length, name) for _, name in BOUNCE_BINS]
            if any(figures.presses[cell] for cell in cells):
                shown = " | ".join(f"{figures.missed[cell]} / {figures.presses[cell]:,}" for cell in cells)
                lines.append(f"| {kind} | {length} | {shown} |")
    lines += [
        "",
        f"Told twice: {figures.doubled}.",
        "",
        "Noise pulses of at most 18 ms, and how many of them raised a press.",
        "",
        "| length | pulses | raised |",
        "| --- | ---: | ---: |",
    ]
    lines += [f"| {name} | {figures.noise[name]:,} | {figures.raised[name]} |" for _, name in NOISE_BINS]
    lines += [
        "",
        "From the finger's touch to the press (ms): its bouncing, 20 of one piece, 5 for late edges, 0 to 3 to wake.",
        "",
        "| line | presses | p50 | p99 | max |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, name in (("quiet", "quiet"), ("noisy", "noisy"), ("stalled", "a disk that stalls for 20 to 400 ms")):
        delays = figures.delays_ms.get(kind) or [0]
        lines.append(
            f"| {name} | {len(delays):,} | {_quantile(delays, 0.5)} | {_quantile(delays, 0.99)} | {max(delays)} |"
        )
    lost = figures.lossy
    lines += [
        "",
        "With 2 % of all edges lost (each press at least 2.5 s after the one before):",
        "",
        "| line | presses | missed | noise pulses | raised |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {kind} | {lost[f'{kind} presses']:,} | {lost[f'{kind} missed']} | {lost[f'{kind} pulses']:,} "
            f"| {lost[f'{kind} raised']:,} |"
            for kind in ("quiet", "noisy")
        ),
        "",
        "A contact that presses by itself for eight hours: events that leave the device.",
        "",
        "| presses a second | help: first minute | help: an hour | other buttons: first minute | an hour | faults |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for per_s in (0.1, 0.5, 3.0, 10.0):
        help_first, help_hour, faults = chatter(per_s, 8, ContactLimits(), never_drop=True)
        other_first, other_hour, _ = chatter(per_s, 8, ContactLimits(), never_drop=False)
        lines.append(f"| {per_s:g} | {help_first} | {help_hour:.0f} | {other_first} | {other_hour:.1f} | {faults} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Play, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000, help="how many lines (default: 100000)")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/button.md")
    arguments = parser.parse_args()
    figures, total = Figures(), arguments.lines
    chunks = [range(first, min(first + CHUNK, total)) for first in range(0, total, CHUNK)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for done, part in enumerate(pool.map(play, chunks), 1):
            figures.add(part)
            sys.stderr.write(f"\r{min(done * CHUNK, total):,} of {total:,} lines")
    text = report(figures)
    sys.stderr.write("\n")
    sys.stdout.write(text)
    if arguments.write:
        page = PAGE.read_text("utf-8")
        PAGE.write_text(page.split(MARKER)[0] + MARKER + "\n" + text, "utf-8")
    wrong = sum(figures.missed.values()) + figures.doubled + sum(figures.raised.values())
    if wrong:
        sys.stderr.write(f"{wrong} presses were missed, told twice or made of noise\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
