"""What a speaker can play now: each item of its programme as samples, in the language of now, piece by piece."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from device.clips import Clips
from device.core.role import Role
from device.core.signals import Call, Phrase, Tone, Words
from device.sounds.making import Recipe, Recording, Speech
from device.sounds.programme import Announce, Answer, Count, DingDong, Item, Wake
from device.sounds.recipes import count_recipe, ding_dong_recipe, tone_recipe, waking_recipe, words_recipe
from device.sounds.scores import ChimeName
from device.sounds.sentences import LANGUAGES, MAX_COUNT, fixed_words, without_names
from device.sounds.waves import RATE

_GAP_S = 0.2
"""Between a tone and its sentence, and after an announcement."""
NAME_WAIT_S = 2.0
"""So long after its tone a sentence is waited for; then it is said without the names."""
_WAIT_STEP_S = 0.1


@dataclass(frozen=True, slots=True)
class SpeakerOptions:
    """How to be heard. ``player``: a command to which ``/dev/stdin`` is added, None: buzzer only. ``percent``,
    ``language``: until the relay says otherwise. ``voice``: whether espeak-ng may speak. ``quiet``: whether this is a
    quiet hour, in which routine notices are played at ``quiet_percent`` at most."""

    player: Sequence[str] | None
    role: Role
    percent: int = 80
    language: str = LANGUAGES[0]
    chime: ChimeName = ChimeName.T3_520
    voice: bool = True
    recordings: Path | None = None
    quiet: Callable[[], bool] = lambda: False
    quiet_percent: int = 30


class Repertoire:
    """The clips of a device."""

    def __init__(self, options: SpeakerOptions, clips: Clips) -> None:
        self.language = options.language
        self._clips = clips
        self._role = options.role
        self._chime = options.chime
        self._voice = options.voice
        self._recordings = options.recordings

    def prepare(self) -> None:
        """Have everything made that needs no name, what answers a press first."""
        scores = [tone_recipe(Tone.HEARD), ding_dong_recipe(), waking_recipe(self._chime), *map(tone_recipe, Tone)]
        sentences = [self._recipe(words) for words in fixed_words(self._role)]
        counts = (self._count(count) for count in range(2, MAX_COUNT + 1)) if self._role is Role.BELL else ()
        self._want(*scores, *sentences, *(one for one in counts if one is not None))

    def expect(self, words: Words) -> None:
        """Have a sentence made before all others: it is about to be said."""
        self._want(self._recipe(words), first=True)

    def pieces(self, item: Item) -> Iterator[bytes]:
        """The samples of an item, a piece at a time; silence while a sentence is waited for."""
        match item:
            case Answer(notice):
                yield from self._clips.pieces(tone_recipe(notice.tone)) or ()
                yield _silence(_GAP_S)
                if notice.words is not None:
                    yield from self._spoken(notice.words, NAME_WAIT_S)
                    yield _silence(_GAP_S)
            case DingDong():
                yield from self._clips.pieces(ding_dong_recipe()) or ()
                yield _silence(_GAP_S)
            case Announce(call):
                yield from self._spoken(words_of(call), 0.0)
                yield _silence(_GAP_S)
            case Count(calls):
                recipe = self._count(calls)
                yield from (None if recipe is None else self._clips.pieces(recipe)) or ()
                yield _silence(_GAP_S)
            case Wake():
                yield from self._clips.pieces(waking_recipe(self._chime)) or ()

    def _spoken(self, words: Words, wait_s: float) -> Iterator[bytes]:
        """A sentence; without the names if that is all there is in time, nothing if there is not even that."""
        clip, until = self._clips.pieces(self._recipe(words)), time.monotonic() + wait_s
        while clip is None and time.monotonic() < until and self._clips.expected(recipe := self._recipe(words)):
            yield _silence(_WAIT_STEP_S)
            clip = self._clips.pieces(recipe)
        if clip is None:
            clip = self._clips.pieces(self._recipe(without_names(words)))
        yield from clip or ()

    def _recipe(self, words: Words) -> Recipe:
        """A recording that cannot be used counts as none."""
        recipe = words_recipe(words, self.language, self._recordings)
        unusable = isinstance(recipe.material, Recording) and self._clips.unusable(recipe)
        return words_recipe(words, self.language, None) if unusable else recipe

    def _count(self, calls: int) -> Recipe | None:
        return count_recipe(calls, self.language, self._recordings)

    def _want(self, *recipes: Recipe, first: bool = False) -> None:
        wanted = (one for one in recipes if self._voice or not isinstance(one.material, Speech))
        self._clips.want(wanted, first=first)


def words_of(call: Call) -> Words:
    """What is spoken of a call."""
    return Words(Phrase.CALL, label=call.label, place=call.place, kind=call.kind)


def _silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE))
