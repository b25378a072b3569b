"""The speaker: WAV files played by a real player process, with the buzzer behind it. One thread supervises.

``ChimeStarted`` is told only when the player process has lived long enough to have opened the sound device, or has
played to its end without an error, or when the buzzer's line toggles. A player that dies is started again; while it
cannot play, the buzzer sounds in its place and the player is tried again with growing pauses. A player that hangs
(a device that another program holds, a dead sound server) is killed; from then on only a sound that was played to its
end proves it, and the buzzer sounds until then.
"""

from __future__ import annotations

import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import structlog

from device.blinker import Blinker
from device.core.effects import Play
from device.core.machine import Trouble
from device.core.role import ChimeStarted, ChimeStopped
from device.core.signals import Call, Tone
from device.player import dies_with_us, kill_player, words_of_player
from device.synth import BEEPS, BUZZER_CHIME, Clip, length_s, render, size_bytes

SoundEvent = ChimeStarted | ChimeStopped | Trouble

MIN_ALARM_PERCENT = 40
"""Wire contract: an alarm is never silenced by a volume."""
PROVE_S = 20.0
"""How long the proof of the player may take: a tone that still plays, then the patience with a player that hangs."""
_PROOF_S = 0.15
"""aplay that cannot open its device has ended by then (about 15 ms here, 60 ms on a Zero 2 W)."""
_PATIENCE_S = 5.0
"""How much longer than its sound a player may live: it has to open the device and to drain its buffer."""
_RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_SOUNDS_VERSION = 1
"""Part of the cached files' names: another score is another file."""

_log = structlog.get_logger("device.sound")


class SoundProof(StrEnum):
    """What playing silence has proven."""

    PLAYED = "played"
    FAILED = "failed"
    OVERTAKEN = "overtaken"
    """Something had to be heard meanwhile; nothing is proven."""
    NO_PLAYER = "no_player"
    """There is a buzzer only, which cannot be proven in silence."""


class Speaker:
    """The ``Sound`` of a device. ``player`` is a command to which a WAV file's path is added, None: buzzer only.

    ``directory`` caches the rendered files; it need not be writable later. ``sink`` is called on this thread with
    what the runtime must hear. ``buzzer`` may be None: then a dead player is silence, and is told as such.
    """

    def __init__(
        self,
        player: Sequence[str] | None,
        directory: Path,
        *,
        percent: int,
        buzzer: Blinker | None,
        sink: Callable[[SoundEvent], None],
    ) -> None:
        self._player = None if player is None else (*dies_with_us(), *player)
        self._directory = directory
        self._own_percent = percent
        self._buzzer = buzzer
        self._sink = sink
        self._changed = threading.Condition()
        self._wanted: tuple[str, ...] = ()
        self._tone: Tone | None = None
        self._proofs: list[queue.SimpleQueue[SoundProof]] = []
        self._percent = percent
        self._unprepared = self._all_sounds()
        self._closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted = False
        self._buzzing = False
        self._told: tuple[str, ...] = ()
        self._in_trouble = False
        self._doubted = False
        self._thread = threading.Thread(target=self._run, name="speaker", daemon=True)

    def start(self) -> None:
        """Wait for orders, and meanwhile render what is missing."""
        self._thread.start()

    def play(self, notice: Play) -> None:
        """Play a tone once, instead of one that still plays; not while the chime sounds."""
        with self._changed:
            if not self._wanted:
                self._tone = notice.tone
                self._interrupt()

    def chime(self, calls: Sequence[Call]) -> None:
        """Sound for exactly these alarms from now on; none: silence at once."""
        with self._changed:
            begins_or_ends = bool(self._wanted) != bool(calls)
            self._wanted = tuple(call.alarm for call in calls)
            if begins_or_ends:
                self._tone = None
                self._interrupt()
            self._changed.notify_all()

    def prove(self, within_s: float = PROVE_S) -> SoundProof:
        """Have the player open the sound device and play silence to its end; for any thread but the runtime's.

        What must be heard comes first, and cuts it short. A player that fails is told as a ``Trouble``, as ever, and
        the buzzer stays silent. ``OVERTAKEN`` too if the speaker had no time for it within ``within_s``.
        """
        if self._player is None:
            return SoundProof.NO_PLAYER
        answer: queue.SimpleQueue[SoundProof] = queue.SimpleQueue()
        with self._changed:
            self._proofs.append(answer)
            self._changed.notify_all()
        try:
            return answer.get(timeout=within_s)
        except queue.Empty:
            return SoundProof.OVERTAKEN

    def tune(self, percent: int | None, language: str | None) -> None:  # noqa: ARG002 - nothing is spoken yet
        """From the next sound on; None: the device's own setting."""
        with self._changed:
            self._percent = self._own_percent if percent is None else percent
            self._unprepared = self._all_sounds()
            self._changed.notify_all()

    def alive(self) -> bool:
        """Whether the supervising thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Silence, and the thread ends."""
        with self._changed:
            self._closing = True
            self._wanted, self._tone = (), None
            self._interrupt()
        if self._thread.is_alive():
            self._thread.join(timeout=3.0)

    # --- under the lock ---------------------------------------------------------------------------------------------

    def _interrupt(self) -> None:
        """End what plays now, whatever it is."""
        if self._process is not None:
            self._interrupted = True
            kill_player(self._process)
        if self._buzzer is not None:
            self._buzzing = False
            self._buzzer.blink(None)
        self._changed.notify_all()

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception:  # noqa: BLE001 - the thread's end is seen by ``alive``, and the watchdog acts on it
            _log.exception("sound.died")
        finally:
            self._stopped()

    def _step(self) -> bool:
        """Wait for an order and carry it out; False when closing."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._wanted or self._tone is not None or self._proofs or self._unprepared
            )
            if self._closing:
                return False
            tone, self._tone = self._tone, None
            ringing = bool(self._wanted)
            proof = self._proofs.pop(0) if self._proofs and not ringing and tone is None else None
        if ringing:
            self._ring()
        elif tone is not None:
            self._play_tone(tone)
        elif proof is not None:
            proof.put(self._play_silence())
        else:
            self._prepare()
        return True

    def _prepare(self) -> None:
        """Have the next sound ready at the present volume, the chime first; delete what no volume of now needs."""
        with self._changed:
            what = self._unprepared.pop(0)
        current = self._file(what)
        for other in self._directory.glob(f"{what.value}-*.wav"):
            if other != current:
                other.unlink(missing_ok=True)

    def _ring(self) -> None:
        """Chime until nothing is wanted any more."""
        try_again_at, failures = time.monotonic(), 0
        while wanted := self._now_wanted():
            if self._player is not None and time.monotonic() >= try_again_at:
                if self._play_once(Clip.CHIME, self._sounds):
                    failures = 0
                    continue
                try_again_at = time.monotonic() + _RETRY_S[min(failures, len(_RETRY_S) - 1)]
                failures += 1
                self._trouble("the player cannot play the chime")
            self._buzz()
            pause_s = None if self._player is None else max(0.0, try_again_at - time.monotonic())
            self._wait_while(wanted, pause_s)
        self._stopped()

    def _play_tone(self, tone: Tone) -> None:
        if self._player is not None:
            if self._play_once(tone, self._recovered):
                return
            self._trouble(f"the player cannot play the tone {tone.value}")
        with self._changed:
            overtaken = self._closing or bool(self._wanted) or self._tone is not None
            if not overtaken and self._buzzer is not None:
                self._buzzer.blink(BEEPS[tone], repeat=False)

    def _play_silence(self) -> SoundProof:
        ended_well = self._play_once(Clip.SILENCE, lambda: None)
        with self._changed:
            if self._interrupted or self._closing or self._wanted or self._tone is not None:
                return SoundProof.OVERTAKEN
        if ended_well:
            self._recovered()
            return SoundProof.PLAYED
        self._trouble("the player cannot play silence")
        return SoundProof.FAILED

    def _play_once(self, what: Clip | Tone, on_sounding: Callable[[], None]) -> bool:
        """Play a file to its end; False if the player failed by itself, True if it played or was interrupted."""
        file = self._file(what)
        began = time.monotonic()
        chime = what is Clip.CHIME
        with self._changed:
            wanted = self._wanted
            if self._closing or chime != bool(wanted) or (not chime and self._tone is not None):
                return True
            self._interrupted = False
            try:
                self._process = process = subprocess.Popen(
                    [*(self._player or ()), str(file)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # so that a script and what it has started are killed as one
                )
            except OSError as error:
                _log.warning("sound.player_failed", reason=str(error))
                return False
        ended_well = self._watch(process, what, on_sounding)
        with self._changed:
            self._process = None
            ended_well = ended_well or self._interrupted
        if ended_well and chime:
            # A device that swallows samples faster than time (a file, a null device) must not spin.
            self._wait_while(wanted, max(0.0, length_s(what) - (time.monotonic() - began)))
        return ended_well

    def _watch(self, process: subprocess.Popen[bytes], what: Clip | Tone, on_sounding: Callable[[], None]) -> bool:
        """Until the process ends; ``on_sounding`` as soon as it is proven, and whenever the alarms change."""
        began, proven, limit_s = time.monotonic(), False, length_s(what) + _PATIENCE_S
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.01, _PROOF_S - (time.monotonic() - began)) if not proven else 0.1)
            running, lived_s = process.returncode is None, time.monotonic() - began
            if process.returncode == 0:
                self._doubted, proven = False, True
            elif running and lived_s >= _PROOF_S and not self._doubted:
                proven = True
            if proven:
                on_sounding()
            elif self._doubted and what is Clip.CHIME:
                self._buzz()
            if not running:
                break
            if lived_s >= limit_s:
                self._doubted = True
                kill_player(process)
                _log.warning("sound.player_hung", after_s=round(lived_s, 1))
                words_of_player(process)
                return False
        words = words_of_player(process)
        if process.returncode != 0 and not self._interrupted:
            _log.warning("sound.player_failed", status=process.returncode, words=words)
        return process.returncode == 0

    def _sounds(self) -> None:
        """The player really plays the chime."""
        with self._changed:
            if self._buzzing and self._buzzer is not None:
                self._buzzing = False
                self._buzzer.blink(None)
        self._recovered()
        self._tell()

    def _recovered(self) -> None:
        if self._in_trouble:
            self._in_trouble = False
            self._sink(Trouble("player_failed", "sound", cleared=True))

    def _buzz(self) -> None:
        """The buzzer in place of the player; without one, silence is told."""
        with self._changed:
            if self._buzzer is not None and self._wanted and not self._buzzing:
                self._buzzer.blink(BUZZER_CHIME)
                self._buzzing = True
            buzzing = self._buzzing
        if self._buzzer is None or not buzzing or not self._buzzer.toggling(wait_s=1.0):
            self._tell(nothing=True)
            if self._player is None:
                self._trouble("there is neither a player nor a buzzer")
        else:
            self._tell()

    def _tell(self, *, nothing: bool = False) -> None:
        """Bring what the runtime knows in line with what sounds."""
        with self._changed:
            sounding = () if nothing else self._wanted
        for alarm in self._told:
            if alarm not in sounding:
                self._sink(ChimeStopped(alarm))
        for alarm in sounding:
            if alarm not in self._told:
                self._sink(ChimeStarted(alarm))
        self._told = sounding

    def _stopped(self) -> None:
        self._tell(nothing=True)

    def _trouble(self, text: str) -> None:
        self._in_trouble = True
        self._sink(Trouble("player_failed", "sound", text))

    def _all_sounds(self) -> list[Clip | Tone]:
        return [] if self._player is None else [Clip.CHIME, *Tone]

    def _now_wanted(self) -> tuple[str, ...]:
        with self._changed:
            return () if self._closing else self._wanted

    def _wait_while(self, wanted: tuple[str, ...], timeout_s: float | None) -> None:
        """Until other alarms are wanted, at most ``timeout_s``."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._wanted != wanted, timeout_s)

    def _file(self, what: Clip | Tone) -> Path:
        """The sound as a file at the present volume, rendered if it is not there whole."""
        with self._changed:
            percent = 0 if what is Clip.SILENCE else max(self._percent, MIN_ALARM_PERCENT)
        name = f"{what.value}-{percent}-v{_SOUNDS_VERSION}.wav"
        path = self._directory / name
        if not _is_whole(path, what):
            rendered = render(what, percent)
            try:
                _write_whole(path, rendered)
            except OSError as error:
                # A disk that is full or read-only must not silence a bell: memory has room.
                _log.warning("sound.not_cached", reason=str(error))
                with suppress(OSError):  # then the player fails on it, which is told, and the buzzer takes over
                    self._directory = Path(tempfile.mkdtemp(prefix="doorbell-sounds-"))
                    path = self._directory / name
                    _write_whole(path, rendered)
        return path


def _is_whole(path: Path, what: Clip | Tone) -> bool:
    try:
        return path.stat().st_size == size_bytes(what)
    except OSError:
        return False


def _write_whole(path: Path, content: bytes) -> None:
    """After a power cut the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
