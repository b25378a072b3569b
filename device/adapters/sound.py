"""The speaker: a player process that is fed what a device sounds, with the buzzer behind it. One thread supervises.

``ChimeStarted`` is told only when the player lives, has opened the sound device and takes what it is fed, or when the
buzzer's line toggles. A player that dies is started again; while it cannot play, the buzzer sounds in its place and the
player is tried again with growing pauses. A player that hangs (another program holds the device, a dead sound server)
is noticed within ``device.stream.STALL_S`` and killed; from then on only sound that was really taken proves it, and the
buzzer sounds until then. Sentences come from ``device.clips`` and are never waited for before a tone.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import structlog

from device.blinker import Blinker
from device.clips import Clips
from device.core.effects import Play
from device.core.machine import Trouble
from device.core.role import ChimeStarted, ChimeStopped
from device.core.signals import Call
from device.player import dies_with_us
from device.repertoire import Repertoire, SpeakerOptions, words_of
from device.sounds.programme import Answer, Item, Programme, ring_share
from device.sounds.scores import BEEPS, BUZZER_CHIME
from device.sounds.sentences import language_for
from device.sounds.waves import scaled
from device.stream import BYTES_S, Stream

SoundEvent = ChimeStarted | ChimeStopped | Trouble

MIN_ALARM_PERCENT = 40
"""Wire contract: an alarm is never silenced by a volume."""
_LOOK_S = 0.1
"""So often is looked whether the player still takes what it is fed."""
PROVE_S = 20.0
"""How long the proof of the player may take: what is being said, then the patience with a player that hangs."""
_SILENCE = bytes(BYTES_S // 2)
_RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_RANG_BYTES = 5 * BYTES_S
"""A player that has taken so much of a ring before it failed is tried again as after its first failure: a loose plug is
no reason to pause for longer than it holds."""

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
    """The ``Sound`` of a device.

    ``directory`` keeps the clips; it need not be writable later. ``sink`` is called on this thread or the voice's with
    what the runtime must hear. ``buzzer`` may be None: then a dead player is silence, and is told as such.
    """

    def __init__(
        self,
        options: SpeakerOptions,
        directory: Path,
        *,
        buzzer: Blinker | None,
        sink: Callable[[SoundEvent], None],
    ) -> None:
        self._options = options
        self._command = None if options.player is None else (*dies_with_us(), *options.player)
        self._buzzer = buzzer
        self._sink = sink
        self._clips = Clips(directory, sink)
        self._repertoire = Repertoire(options, self._clips)
        self._changed = threading.Condition()
        self._programme = Programme()
        self._proofs: list[queue.SimpleQueue[SoundProof]] = []
        self._percent = options.percent
        self._closing = False
        self._stream: Stream | None = None
        self._interrupted = False
        self._buzzing = False
        self._told: tuple[str, ...] = ()
        self._in_trouble = False
        self._doubted = False
        self._rung_bytes = 0
        self._thread = threading.Thread(target=self._run, name="speaker", daemon=True)

    def start(self) -> None:
        """Wait for orders, and meanwhile have made what is missing."""
        if self._command is not None:
            self._clips.start()
            self._repertoire.prepare()
        self._thread.start()

    def play(self, notice: Play) -> None:
        """Play a tone and speak its words, instead of what still plays or, while the chime sounds, in between."""
        if notice.words is not None and self._command is not None:
            self._repertoire.expect(notice.words)
        with self._changed:
            if self._programme.tell(notice):
                self._interrupt()
            self._changed.notify_all()

    def chime(self, calls: Sequence[Call]) -> None:
        """Sound for exactly these alarms from now on; none: silence at once."""
        with self._changed:
            if self._programme.ring(calls):
                self._interrupt()
            self._changed.notify_all()
        if self._command is not None:
            for call in reversed(calls):
                self._repertoire.expect(words_of(call))

    def prove(self, within_s: float = PROVE_S) -> SoundProof:
        """Have the player open the sound device and play silence to its end; for any thread but the runtime's.

        What must be heard comes first, and cuts it short. A player that fails is told as a ``Trouble``, as ever, and
        the buzzer stays silent. ``OVERTAKEN`` too if the speaker had no time for it within ``within_s``.
        """
        if self._command is None:
            return SoundProof.NO_PLAYER
        answer: queue.SimpleQueue[SoundProof] = queue.SimpleQueue()
        with self._changed:
            self._proofs.append(answer)
            self._changed.notify_all()
        try:
            return answer.get(timeout=within_s)
        except queue.Empty:
            return SoundProof.OVERTAKEN

    def tune(self, percent: int | None, language: str | None) -> None:
        """From now on; None, and a language that is not spoken here: the device's own setting."""
        with self._changed:
            self._percent = self._options.percent if percent is None else percent
        spoken = language_for(language or "") or self._options.language
        if spoken != self._repertoire.language:
            self._repertoire.language = spoken
            if self._command is not None:
                self._repertoire.prepare()

    def alive(self) -> bool:
        """Whether the supervising threads run."""
        return self._thread.is_alive() and (self._command is None or self._clips.alive())

    def close(self) -> None:
        """Silence, and the threads end."""
        with self._changed:
            self._closing = True
            self._programme.clear()
            self._interrupt()
        if self._thread.is_alive():
            self._thread.join(timeout=3.0)
        self._clips.close()

    # --- under the lock ---------------------------------------------------------------------------------------------

    def _interrupt(self) -> None:
        """End what plays now, whatever it is."""
        self._interrupted = True
        if self._stream is not None:
            self._stream.kill()
        if self._buzzer is not None and not self._programme.calls:
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
            self._tell(nothing=True)

    def _step(self) -> bool:
        """Wait for an order and carry it out; False when closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._programme.waits() or self._proofs)
            if self._closing:
                return False
            ringing, silent = bool(self._programme.calls), not self._programme.waits()
            proof = self._proofs.pop(0) if silent else None
        if ringing:
            self._ring()
        elif proof is not None:
            proof.put(self._play_silence())
        else:
            self._notify()
        return True

    def _ring(self) -> None:
        """Chime until nothing is wanted any more."""
        try_again_at, failures = time.monotonic(), 0
        self._rung_bytes = 0
        while wanted := self._wanted():
            if self._command is not None and time.monotonic() >= try_again_at:
                before = self._rung_bytes
                if (well := self._perform()) or self._rung_bytes - before >= _RANG_BYTES:
                    failures = 0
                if well:
                    continue
                try_again_at = time.monotonic() + _RETRY_S[min(failures, len(_RETRY_S) - 1)]
                failures += 1
                self._trouble("the player cannot play the chime")
            self._buzz()
            pause_s = None if self._command is None else max(0.0, try_again_at - time.monotonic())
            with self._changed:
                self._wait_while(wanted, pause_s)
                self._programme.forget_notices()
        self._tell(nothing=True)

    def _notify(self) -> None:
        """Play what is told while nothing rings."""
        if self._command is not None:
            if self._perform():
                return
            self._trouble("the player cannot play")
        with self._changed:
            item = self._programme.now() if self._command is not None else self._programme.next()
            overtaken = self._closing or self._programme.waits()
            if isinstance(item, Answer) and not overtaken and self._buzzer is not None:
                self._buzzer.blink(BEEPS[item.notice.tone], repeat=False)

    def _play_silence(self) -> SoundProof:
        with self._changed:
            self._programme.next()  # nothing waits: from now on everything may interrupt
        well = self._perform([(_SILENCE, 100)])
        with self._changed:
            if self._interrupted or self._closing or self._programme.waits():
                return SoundProof.OVERTAKEN
        if well:
            return SoundProof.PLAYED
        self._trouble("the player cannot play silence")
        return SoundProof.FAILED

    def _perform(self, silence: Iterable[tuple[bytes, int]] | None = None) -> bool:
        """Play what the programme has, by one player, or silence while it has nothing; False if the player failed by
        itself, True if it was interrupted or has nothing more to play."""
        with self._changed:
            if self._closing or self._programme.waits() == (silence is not None):
                return True
            self._interrupted = False
            ringing = bool(self._programme.calls)
        try:
            stream = Stream(self._command or ())  # not under the lock: a card that hangs takes its time for a program
        except OSError as error:
            _log.warning("sound.player_failed", reason=str(error))
            with self._changed:
                self._programme.next()
            return False
        with self._changed:
            self._stream = stream
        well = False
        try:
            well = self._feed(stream, self._chunks(ringing=ringing) if silence is None else silence, ringing=ringing)
        finally:
            with self._changed:
                self._stream = None
                well = well or self._interrupted
            words = stream.close()
        if not well:
            _log.warning("sound.player_failed", after_s=round(stream.lived_s(), 1), words=words)
        return well

    def _feed(self, stream: Stream, chunks: Iterable[tuple[bytes, int]], *, ringing: bool) -> bool:
        """Feed the player until the chunks end or the player does; True if it has played to its end."""
        for samples, percent in chunks:
            left = memoryview(scaled(samples, percent))
            while left:
                try:
                    taken = stream.write(left, _LOOK_S)
                except OSError:  # nobody reads any more
                    return False
                left = left[taken:]
                if ringing:
                    self._rung_bytes += taken
                if not self._look(stream, ringing=ringing):
                    return False
        stream.end_input()
        while (status := stream.wait(_LOOK_S)) is None:
            if not self._look(stream, ringing=ringing):
                return False
        if status == 0:
            self._doubted = False
            self._sounds(ringing=ringing)
        return status == 0

    def _look(self, stream: Stream, *, ringing: bool) -> bool:
        """Whether to go on feeding; tells what is proven."""
        if self._interrupted or self._closing:
            return False
        if stream.proven(doubted=self._doubted):
            self._doubted = False
            self._sounds(ringing=ringing)
        elif self._doubted and ringing:
            self._buzz()
        if stream.hangs():
            self._doubted = True
            _log.warning("sound.player_hung", after_s=round(stream.lived_s(), 1))
            return False
        return True

    # --- what is played ---------------------------------------------------------------------------------------------

    def _chunks(self, *, ringing: bool) -> Iterator[tuple[bytes, int]]:
        """What the programme has, in pieces with their per cent; ends with it, and where a ring begins or ends."""
        while True:
            with self._changed:
                if self._interrupted or bool(self._programme.calls) != ringing:
                    return
                item = self._programme.next()
            if item is None:
                return
            for piece in self._repertoire.pieces(item):
                yield piece, self._percent_for(item)

    def _percent_for(self, item: Item) -> int:
        """A ring begins softer and rises; quiet hours make routine notices softer, and nothing else."""
        with self._changed:
            percent = self._percent
        if not isinstance(item, Answer):
            full = max(percent, MIN_ALARM_PERCENT)
            return max(MIN_ALARM_PERCENT, round(full * ring_share(self._rung_bytes / BYTES_S)))
        if not item.notice.routine:
            return max(percent, MIN_ALARM_PERCENT)
        return min(percent, self._options.quiet_percent) if self._options.quiet() else percent

    # --- what is told -----------------------------------------------------------------------------------------------

    def _sounds(self, *, ringing: bool) -> None:
        """The player really plays."""
        if ringing:
            with self._changed:
                if self._buzzing and self._buzzer is not None:
                    self._buzzing = False
                    self._buzzer.blink(None)
        if self._in_trouble:
            self._in_trouble = False
            self._sink(Trouble("player_failed", "sound", cleared=True))
        if ringing:
            self._tell()

    def _buzz(self) -> None:
        """The buzzer in place of the player; without one, silence is told."""
        with self._changed:
            if self._buzzer is not None and self._programme.calls and not self._buzzing:
                self._buzzer.blink(BUZZER_CHIME)
                self._buzzing = True
            buzzing = self._buzzing
        if self._buzzer is None or not buzzing or not self._buzzer.toggling(wait_s=1.0):
            self._tell(nothing=True)
            if self._command is None:
                self._trouble("there is neither a player nor a buzzer")
        else:
            self._tell()

    def _tell(self, *, nothing: bool = False) -> None:
        """Bring what the runtime knows in line with what sounds."""
        sounding = () if nothing else self._wanted()
        for alarm in self._told:
            if alarm not in sounding:
                self._sink(ChimeStopped(alarm))
        for alarm in sounding:
            if alarm not in self._told:
                self._sink(ChimeStarted(alarm))
        self._told = sounding

    def _trouble(self, text: str) -> None:
        self._in_trouble = True
        self._sink(Trouble("player_failed", "sound", text))

    def _wait_while(self, wanted: tuple[str, ...], timeout_s: float | None) -> None:
        """Until other alarms are wanted, at most ``timeout_s``."""
        self._changed.wait_for(lambda: self._wanted() != wanted, timeout_s)

    def _wanted(self) -> tuple[str, ...]:
        with self._changed:
            return () if self._closing else tuple(call.alarm for call in self._programme.calls)
