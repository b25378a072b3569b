"""Fixtures of the virtual Pi: the parts, made once; a home that was really booted; what stands outside of it."""

import random
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import pytest

from tests.virtual_pi.build import Parts, build
from tests.virtual_pi.disk import VolatileDisk, make_state_disk
from tests.virtual_pi.house import BELL_SIDE, LONG_S, PANEL_SIDE, House
from tests.virtual_pi.machine import Machine
from tests.virtual_pi.outside import Outside

SEED = 20
"""Of what the state disk of the home forgets when it is switched off; nothing there depends on it."""


@dataclass(frozen=True, slots=True)
class Home:
    """A booted machine with a panel and a bell in it, its state disk, and the broker and relay outside."""

    house: House
    machine: Machine
    disk: VolatileDisk
    outside: Outside

    def last_words(self) -> str:
        """The ends of all logs."""
        inside = "off"
        if self.machine.running:
            units = f"journalctl -b -o short-precise --no-pager -n 60 -u {PANEL_SIDE.unit} -u {BELL_SIDE.unit}"
            inside = self.machine.run(f"{units}; journalctl -b -p warning --no-pager -n 15; systemctl --failed").out
        lines = [
            f"{line.at.isoformat()} {line.device} {line.type} {dict(line.data)}" for line in self.outside.journal()
        ]
        return "\n".join([inside, "--- relay", *lines[-30:], self.outside.relay.last_words(5)])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """After a failure: what the machine's journal says, and what the relay's."""
    report = yield
    home = getattr(item, "funcargs", {}).get("home")
    if report.failed and isinstance(home, Home):
        report.sections.append(("inside and outside", home.last_words()))
    return report


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints a line now, past pytest's capture: minutes of silence look like a hang."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(line, flush=True)

    return say


@pytest.fixture(scope="session")
def parts(say: Callable[[str], None]) -> Parts:
    """The image and the booted snapshots, from the cache or made now."""
    return build(say=say)


@pytest.fixture(scope="session")
def home(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A cold boot from the image, with an empty state disk."""
    directory = tmp_path_factory.mktemp("home")
    root, state = directory / "root.qcow2", directory / "state.img"
    backing = ["-F", "raw", "-b", str(parts.image / "root.ext4")]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(root)], check=True)
    make_state_disk(state)
    disk = VolatileDisk(state, random.Random(SEED))
    try:
        with (
            Outside(directory / "outside") as outside,
            Machine(parts.image, root, port=outside.port, state=disk.node()) as machine,
        ):
            machine.boot()
            machine.set_clock()
            machine.settle(LONG_S)
            house = House(machine)
            yield Home(house, machine, disk, outside)
    finally:
        disk.settle()
        shutil.rmtree(directory, ignore_errors=True)
