"""Writes the table of docs/sounds.md anew: ``python -m device.sounds_page``, which is part of ``make docs``.

The figures are those of the espeak-ng at hand, so a test compares what is said and how it is called, not the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from device.core.signals import Phrase, Words
from device.sounds.making import make_clip
from device.sounds.sentences import LANGUAGES
from device.sounds_command import SoundRow, measured, wanted_clips

PAGE = Path(__file__).resolve().parents[1] / "docs" / "sounds.md"
BEGIN, END = "<!-- begin: python -m device.sounds_page -->\n", "<!-- end -->\n"
EXAMPLE = Words(Phrase.CALL, who="彭小平", label="柳奶奶", place="西湖山小区 3栋502")
_HEAD = "| clip | s | LUFS | peak dBFS | strongest Hz | what is said |\n|---|---:|---:|---:|---:|---|\n"


def page_lines() -> Iterator[str]:
    """The table, a clip a line."""
    for file, recipe, said in wanted_clips(LANGUAGES, EXAMPLE, None):
        yield _line(measured(file, said, make_clip(recipe)))


def _line(row: SoundRow) -> str:
    figures = f"{row.seconds:.2f} | {row.lufs:.1f} | {row.peak_dbfs:.1f} | {row.dominant_hz}"
    return f"| {row.file.removesuffix('.wav')} | {figures} | {row.said} |\n"


def main() -> int:
    """Write the page. Raises ``VoiceError`` where espeak-ng is missing."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("".join([before, BEGIN, _HEAD, *page_lines(), END, after]), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
