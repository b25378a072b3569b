"""Registers that are large, and that change: what importing and holding them costs, and what presses feel of it."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.presser import Presser, quantile
from bench.subjects import ROOT, Subject, write_register

Figures = dict[str, float]

_LOAD = """
import sys, time
from pathlib import Path
from relay.adapters.store import SqlStore
store = SqlStore.open(sys.argv[1])
def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024
before, begin = resident(), time.perf_counter()
_, register = store.load_register()
register.indexed()
print(time.perf_counter() - begin, resident() - before, len(register.devices))
"""


def import_large(scratch: Path, households: int) -> Figures:
    """Import a register of so many homes into an empty database, and load it as a relay does."""
    subject = Subject("relay", 1, scratch)
    write_register(scratch / "register.toml", households)
    devices = f"{2 * households:,} devices"
    begin = time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    _import(subject)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        f"{devices}: imported from TOML (s)": time.perf_counter() - begin,
        f"{devices}: processor for it (s)": after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime,
        f"{devices}: memory for it (MB)": after.ru_maxrss / 1024,
        f"{devices}: file (MB)": (scratch / "register.toml").stat().st_size / 1e6,
    }
    words = [sys.executable, "-c", _LOAD, str(subject.database_file)]
    told = subprocess.run(words, check=True, cwd=ROOT, capture_output=True, text=True).stdout.split()
    seconds, memory_mb, count = map(float, told)
    found[f"{devices}: read by the relay (s)"] = seconds
    found["register in memory, a device (bytes)"] = memory_mb * 2**20 / count
    return found


def change_while_pressed(subject: Subject, presser: Presser, households: int) -> Figures:
    """What presses feel when one home of a running relay's register is changed and imported.

    The relay is up and has told every device; the importer reads its file on the other core.
    """
    found = {f"{2 * households:,} devices: the relay that serves them, resident (MB)": subject.resident_mb()}
    quiet = presser.paced(20, 200)
    text = (subject.scratch / "register.toml").read_text("utf-8")
    text = text.replace('place = "3栋7"', 'place = "4栋7"')
    (subject.scratch / "register.toml").write_text(text, "utf-8")
    begin, latencies = time.perf_counter(), list[float]()
    with subprocess.Popen(_words(subject), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as importer:
        while importer.poll() is None:
            latencies += presser.paced(20, 10)
    found["import of one change (s)"] = time.perf_counter() - begin
    taken = presser.paced(20, 200)  # the relay reads it meanwhile, and looks at every device anew
    for name, values in (("before", quiet), ("while it is imported", latencies), ("afterwards, for 10 s", taken)):
        found[f"press {name}: p50 (ms)"] = quantile(sorted(values), 0.5)
        found[f"press {name}: longest (ms)"] = max(values)
    return found


def _import(subject: Subject) -> None:
    subprocess.run(_words(subject), check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _words(subject: Subject) -> Sequence[str]:
    words = [sys.executable, "-m", "relay", "register", "import", str(subject.scratch / "register.toml")]
    return [*words, "--config", str(subject.config())]
