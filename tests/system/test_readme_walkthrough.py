"""The README's "four processes, by hand" is run as it is written: the newcomer's second quarter of an hour.

The commands come from the file itself. What stays open is left open, as in a terminal of its own; what answers is
asked again, as a person would look again, until it says what the README promises.
"""

import re
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from device.texts import text
from sim.broker import free_port
from tests.system.processes import ROOT, Program, run_to_end, until

PORT = 18830
"""The README's; another is put in its place only where somebody uses it."""
READMES = {"README.md": "Four processes, by hand", "README.zh-CN.md": "亲手启动四个进程"}
WALK = [
    ". .venv/bin/activate",
    "doorbell-sim broker",
    "doorbell-relay register import",
    "doorbell-relay run",
    "doorbell-device run",
    "doorbell-device run",
    "doorbell-device pins press help",
    "doorbell-device pins state",
    "doorbell-device pins press answer",
    "doorbell-relay alarms list",
    "doorbell-relay alarms watch",
    "doorbell-relay journal",
]
"""How the commands of the section begin: a new one there needs its place in the test."""


def section(readme: str) -> str:
    """The part of a README between its heading and the next."""
    text = (ROOT / readme).read_text("utf-8")
    return text.split(f"\n## {READMES[readme]}\n", 1)[1].split("\n## ", 1)[0]


def commands_of(readme: str) -> list[str]:
    """The commands of the walk, in their order."""
    return [line for block in re.findall(r"```sh\n(.*?)```", section(readme), re.DOTALL) for line in block.splitlines()]


class Terminals:
    """A directory like a fresh clone's, and as many terminals in it as commands stay open."""

    def __init__(self, directory: Path, port: int) -> None:
        shutil.copytree(ROOT / "config", directory / "config")
        if port != PORT:
            for file in (directory / "config").iterdir():
                file.write_text(file.read_text("utf-8").replace(str(PORT), str(port)), "utf-8")
        self.open: list[Program] = []
        self._directory = directory
        self._port = port

    def type(self, line: str) -> str:
        """Run a command to its end; what it says."""
        return run_to_end(self._command(line), self._directory)

    def leave_open(self, line: str) -> Program:
        """Run a command in a terminal of its own."""
        program = Program(f"terminal-{len(self.open) + 1}", self._command(line), self._directory)
        program.start()
        self.open.append(program)
        return program

    def type_until(self, line: str, *words: str) -> str:
        """Type it again and again until all these words are in the answer."""

        def answer() -> str:
            said = self.type(line)
            return said if all(word in said for word in words) else ""

        return until(answer, f"{line} says {words}; {self.last_words()}")

    def last_words(self) -> str:
        """The ends of what is open."""
        return "\n".join(program.last_words(5) for program in self.open)

    def close(self) -> list[int | None]:
        """Ctrl-C in each terminal, the newest first; the exit codes."""
        codes = []
        while self.open:
            codes.append(self.open.pop().stop(signal.SIGINT))
        return codes

    def _command(self, line: str) -> list[str]:
        program, *words = shlex.split(line.replace(str(PORT), str(self._port)))
        return [str(Path(sys.executable).parent / program), *words]  # what `. .venv/bin/activate` is for


@pytest.fixture
def terminals() -> Iterator[Terminals]:
    """Under a short path: the control sockets of the devices lie in it."""
    with tempfile.TemporaryDirectory(prefix="walk-") as directory, ExitStack() as stack:
        terminals = Terminals(Path(directory), PORT if is_free(PORT) else free_port())
        stack.callback(terminals.close)
        yield terminals


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def test_both_readmes_walk_alike() -> None:
    """The Chinese page has the same commands as the English one, and the test knows all of them."""
    commands = commands_of("README.md")
    assert commands_of("README.zh-CN.md") == commands
    assert len(commands) == len(WALK)
    for command, beginning in zip(commands, WALK, strict=True):
        assert command.startswith(beginning)


@pytest.mark.slow
@pytest.mark.system
def test_the_walk_by_hand_ends_with_a_neighbour_coming(terminals: Terminals) -> None:
    """Must show 2: four processes from the README's own lines, a press, its stages, the journal."""
    walk = iter(commands_of("README.md")[1:])
    broker = terminals.leave_open(next(walk))
    await_word(broker, "broker.ready")
    terminals.type(next(walk))
    relay = terminals.leave_open(next(walk))
    await_word(relay, "link.up")
    panel, bell = terminals.leave_open(next(walk)), terminals.leave_open(next(walk))
    await_word(panel, "link.up")
    await_word(bell, "link.up")
    press, state, answer = next(walk), next(walk), next(walk)
    # One of the two volunteers' bells runs: the panel's light says so as soon as the relay knows it.
    terminals.type_until(state, text("is_thin"))
    terminals.type(press)
    terminals.type_until(state, text("is_ringing"))
    terminals.type(answer)
    terminals.type_until(state, text("is_coming"))
    listed, watch, journal = next(walk), next(walk), next(walk)
    assert "柳奶奶" in terminals.type(listed)
    await_word(terminals.leave_open(watch), "彭小平")
    steps = re.findall(r",(raised|step_started|sounding|accepted),", terminals.type(journal))
    assert steps == ["raised", "step_started", "sounding", "accepted"]
    assert terminals.close() == [0] * 5


def await_word(program: Program, word: str) -> None:
    """Wait until a program that stays open has said it."""
    until(lambda: word in program.log.read_text("utf-8"), f"{word} in {program.last_words()}")
