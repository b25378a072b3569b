"""Drives the virtual Pi: QEMU without KVM, its monitor (QMP), the guest agent as hands inside, and the plug to pull.

The guest's network is one port: what it sends to ``BROKER`` comes to a port of this machine's loopback, nothing else
goes anywhere. A line of text can leave it by the serial port ``eye``, which survives nothing and delays nothing.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.system.processes import die_with_us, until

READY, ARMED = "ready", "armed"
"""Snapshots: booted, with both services stopped; and with the panel running on a state disk, no broker in reach."""
BROKER = ("10.0.2.100", 1883)
"""Where the broker is, seen from inside."""
BOOT_S, ANSWER_S = 300.0, 90.0
"""Bounds, not expectations: two cores that emulate two cores and have other work."""
_BRIDGE = Path(__file__).resolve().parent / "bridge.py"
_CHUNK = 1 << 16
_STATE_DEVICE = {"driver": "virtio-blk-pci", "drive": "state", "id": "vdb", "bus": "socket0", "write-cache": "on"}
_STIR = (
    "import fcntl, os, sys; pool = os.open('/dev/urandom', os.O_RDWR); os.write(pool, bytes.fromhex(sys.argv[1])); "
    "fcntl.ioctl(pool, 0x5207)"  # RNDRESEEDCRNG of random(4)
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command inside has ended with, and said."""

    code: int
    out: str
    err: str


class Machine:
    """``with Machine(image, disk) as machine:``, then ``boot`` or ``wake``; the process ends with the block.

    ``image``: the directory with kernel and initramfs. ``disk``: the root disk as qcow2, which is written to.
    ``port``: a broker's on this machine, None: nobody is there. ``state``: a disk that is there from the boot on, in
    QEMU's words. ``words``: more for the kernel's command line.
    """

    def __init__(
        self,
        image: Path,
        disk: Path,
        *,
        port: int | None = None,
        state: Mapping[str, Any] | None = None,
        words: str = "",
    ) -> None:
        self._image, self._disk, self._port = image, disk, port
        self._state, self._words = state, words
        self._work = Path(tempfile.mkdtemp(prefix="vpi-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: _Lines | None = None
        self._monitor: _Lines | None = None
        self.began = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.cut()
        shutil.rmtree(self._work, ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether it has power."""
        return self._process is not None and self._process.poll() is None

    @property
    def answering(self) -> bool:
        """Whether the agent inside has answered since it was switched on."""
        return self.running and self._agent is not None

    def boot(self, within_s: float = BOOT_S) -> None:
        """Switch it on and wait until the agent inside answers."""
        self._start(within_s=within_s)

    def settle(self, within_s: float) -> None:
        """Wait until everything that starts at boot has started, or failed, and let the second processor work.

        It sleeps until then: a kernel patches its own code while it starts, and of two emulated processors one may run
        into what the other has half patched (``Oops: int3``).
        """
        until(lambda: self.run("systemctl is-system-running --wait").out.strip() != "starting", "booted", within_s)
        self.sh("echo 1 >/sys/devices/system/cpu/cpu1/online")

    def wake(self, snapshot: str = READY) -> None:
        """Go on where a snapshot was taken; whatever was written to the root disk since is undone.

        ``ARMED`` goes on with a state disk, which must hold what it held then. The clock is set, and what the kernel
        draws its random numbers from is stirred: woken twice from one sleep it would give the same ids again.
        """
        self._start(snapshot)
        self.set_clock()
        self.sh(f'python3 -c "{_STIR}" {secrets.token_hex(32)}')

    def cut(self) -> None:
        """Pull the plug: nothing is flushed, nobody is asked."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for line in (self._agent, self._monitor):
            if line is not None:
                line.close()
        self._agent = self._monitor = None

    def await_off(self, within_s: float = ANSWER_S) -> None:
        """Wait until it has switched itself off."""
        assert self._process is not None
        self._process.wait(within_s)

    def set_clock(self, at: float | None = None) -> None:
        """Set its wall clock, seconds since 1970; None: to the right time."""
        self.sh(f"date -s @{time.time() if at is None else at:.3f}")

    def save(self, snapshot: str) -> None:
        """Stop, and keep memory and root disk (not the state disk) as a snapshot in the root disk."""
        self.ask_monitor("stop")
        self._do("snapshot-save", snapshot)

    def go_on(self) -> None:
        """Go on after ``save``."""
        self.ask_monitor("cont")

    def plug(self, node: Mapping[str, Any]) -> None:
        """Plug a disk in while it runs: ``/dev/vdb``. ``node``: QEMU's description of where its sectors are."""
        self.ask_monitor("blockdev-add", **_node("state", "raw", node))
        self.ask_monitor("device_add", **_STATE_DEVICE)
        self.sh("udevadm settle --exit-if-exists=/dev/vdb; test -b /dev/vdb")

    def sh(self, command: str, *, check: bool = True, within_s: float = ANSWER_S) -> str:
        """Run a shell command as root inside; its output. Fails if the command does, unless ``check`` is off."""
        answer = self.run(command, within_s=within_s)
        assert not check or answer.code == 0, f"{command}\nended with {answer.code}: {answer.out}{answer.err}"
        return answer.out

    def run(self, command: str, *, within_s: float = ANSWER_S) -> Answer:
        """Run a shell command as root inside."""
        environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
        arguments = {"path": "/bin/sh", "arg": ["-c", command], "capture-output": True, "env": environment}
        pid = self.ask_agent("guest-exec", **arguments)["pid"]
        state = until(lambda: self._ended(pid), f"{command} ends", within_s)
        return Answer(
            state.get("exitcode", -state.get("signal", 0)), _text(state, "out-data"), _text(state, "err-data")
        )

    def write(self, path: str, content: bytes) -> None:
        """Write a file inside."""
        handle = self.ask_agent("guest-file-open", path=path, mode="w")
        for start in range(0, len(content), _CHUNK):
            chunk = base64.b64encode(content[start : start + _CHUNK]).decode()
            self.ask_agent("guest-file-write", **{"handle": handle, "buf-b64": chunk})
        self.ask_agent("guest-file-close", handle=handle)

    def read(self, path: str) -> bytes:
        """Read a file inside."""
        handle, content, over = self.ask_agent("guest-file-open", path=path, mode="r"), b"", False
        while not over:
            part = self.ask_agent("guest-file-read", handle=handle, count=_CHUNK)
            content, over = content + base64.b64decode(part["buf-b64"]), part["eof"]
        self.ask_agent("guest-file-close", handle=handle)
        return content

    def eye(self) -> Eye:
        """The other end of the serial port ``eye``."""
        return Eye(self._work / "eye")

    def console(self) -> str:
        """What it has written to its console."""
        path = self._work / "console"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def ask_agent(self, command: str, **arguments: Any) -> Any:
        """One question to the guest agent."""
        assert self._agent is not None, "it is off"
        return self._agent.ask(command, arguments)

    def ask_monitor(self, command: str, **arguments: Any) -> Any:
        """One question to QEMU."""
        if self._monitor is None:
            until(self._listens, "QEMU listens")
        assert self._monitor is not None
        return self._monitor.ask(command, arguments)

    # -----------------------------------------------------------------------------------------------------------------

    def _start(self, snapshot: str | None = None, within_s: float = BOOT_S) -> None:
        assert not self.running, "it is on"
        for stale in ("agent", "monitor", "eye"):
            (self._work / stale).unlink(missing_ok=True)
        self.began = time.monotonic()
        command = [*die_with_us(), *self._command(), *(["-S"] if snapshot else [])]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        if snapshot:
            until(self._listens, "QEMU listens")
            self._do("snapshot-load", snapshot)
            self.go_on()
        until(self._answers, "the machine answers", within_s)

    def _do(self, job: str, snapshot: str) -> None:
        """A job of QEMU on the snapshots of the root disk, to its end."""
        what = {"job-id": job, "tag": snapshot, "vmstate": "root", "devices": ["root"]}
        self.ask_monitor(job, **what)

        def ended() -> dict[str, Any] | None:
            jobs = {one["id"]: one for one in self.ask_monitor("query-jobs")}
            return jobs[job] if jobs[job]["status"] == "concluded" else None

        done = until(ended, f"{job} {snapshot}", ANSWER_S)
        assert "error" not in done, f"{job} {snapshot}: {done['error']}"
        self.ask_monitor("job-dismiss", id=job)

    def _listens(self) -> bool:
        assert self.running, "QEMU ended"
        try:
            self._monitor = self._monitor or _Lines(self._work / "monitor")
        except OSError:  # there is no socket yet, or nobody listens on it yet
            return False
        self._monitor.greeting()
        self._monitor.ask("qmp_capabilities", {})
        return True

    def _answers(self) -> bool:
        assert self.running, f"QEMU ended\n{self.console()[-3000:]}"
        try:
            line = _Lines(self._work / "agent", 2.0)
        except OSError:
            return False
        try:
            line.synchronise()
        except OSError:
            line.close()
            return False
        self._agent = line
        return True

    def _ended(self, pid: int) -> dict[str, Any] | None:
        state: dict[str, Any] = self.ask_agent("guest-exec-status", pid=pid)
        return state if state["exited"] else None

    def _command(self) -> list[str]:
        work, net = self._work, "user,id=net,restrict=on"
        if self._port is not None:
            bridge = f"{sys.executable} -ISE {_BRIDGE} {self._port}"
            net += f",guestfwd=tcp:{BROKER[0]}:{BROKER[1]}-cmd:{bridge}"
        state = []
        if self._state is not None:
            state = ["-blockdev", json.dumps(_node("state", "raw", self._state))]
            state += ["-device", json.dumps(_STATE_DEVICE)]
        return [
            *("qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "768"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-serial", f"file:{work}/console", "-qmp", f"unix:{work}/monitor,server=on,wait=off"),
            *("-kernel", str(self._image / "vmlinuz"), "-initrd", str(self._image / "initrd.img")),
            *("-append", f"console=ttyS0 root=/dev/vda rw quiet mitigations=off maxcpus=1 {self._words}"),
            *("-blockdev", json.dumps(_node("root", "qcow2", {"driver": "file", "filename": str(self._disk)}))),
            *("-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci"),
            *("-netdev", net, "-device", "virtio-net-pci,netdev=net", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,path={work}/agent,server=on,wait=off,id=agent"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
            *("-chardev", f"socket,path={work}/eye,server=on,wait=off,id=eye"),
            *("-device", "virtserialport,chardev=eye,name=eye"),
            *("-device", "pcie-root-port,id=socket0,chassis=1,slot=1"),
            *state,
        ]


class Eye:
    """Lines that something inside writes to the port, as far as they have come out."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._seen: list[str] = []
        self._thread = threading.Thread(target=self._look, name="eye", daemon=True)
        self._thread.start()

    def lines(self) -> list[str]:
        """What has come out."""
        return [*self._seen]

    def close(self) -> list[str]:
        """Everything that had come out when the machine lost its power; call it afterwards."""
        self._thread.join(ANSWER_S)
        self._socket.close()
        return self.lines()

    def _look(self) -> None:
        with self._socket.makefile("r", encoding="utf-8", errors="replace") as lines:
            try:
                for line in lines:
                    if line.endswith("\n"):
                        self._seen.append(line.rstrip("\n"))
            except OSError:
                return


class _Lines:
    """A socket that takes a JSON object a line and answers with one, as QMP and the agent do."""

    def __init__(self, path: Path, patience_s: float = ANSWER_S) -> None:
        self._number = secrets.randbits(31)
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(patience_s)
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def ask(self, command: str, arguments: dict[str, Any]) -> Any:
        question = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._socket.sendall(json.dumps(question).encode() + b"\n")
        while True:
            answer = self.greeting()
            if "return" in answer:
                return answer["return"]
            assert "error" not in answer, f"{command} {arguments}: {answer}"

    def greeting(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionError("the other end is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def synchronise(self) -> None:
        """Read away what the agent still has to say to those who asked before us and lost patience."""
        self._number += 1
        question = {"execute": "guest-sync", "arguments": {"id": self._number}}
        self._socket.sendall(json.dumps(question).encode() + b"\n")
        while self.greeting().get("return") != self._number:
            pass
        self._socket.settimeout(ANSWER_S)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def _node(name: str, driver: str, file: Mapping[str, Any]) -> dict[str, Any]:
    """Writes go to this machine's page cache, as ``cache=writeback`` has it: durable is what the guest has flushed."""
    return {"node-name": name, "driver": driver, "file": dict(file), "cache": {"direct": False, "no-flush": False}}


def _text(state: dict[str, Any], key: str) -> str:
    return base64.b64decode(state.get(key, "")).decode("utf-8", "replace")
