"""The process that makes clips: ``python -m device.sounds.rendering``, a job a line on stdin, an answer a line back.

It is started by ``device.clips`` when something is missing, works at the lowest priority, and ends with its input. A
file is on the disk whole, or not at all.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from device.sounds.making import Recipe, RecordingError, VoiceError, make_clip


def write_whole(path: Path, content: bytes) -> None:
    """After a power cut the file is there whole or not at all. Raises ``OSError``, and leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def main() -> int:
    """Answer each job with what has gone wrong: "" (nothing), or ``voice``, ``recording``, ``disk`` and a reason."""
    with suppress(OSError):  # better at our own priority than not at all
        os.nice(19)
    for line in sys.stdin:
        job = json.loads(line)
        failed, reason = "", ""
        try:
            write_whole(Path(job["path"]), make_clip(Recipe.from_plain(job["recipe"])))
        except VoiceError as error:
            failed, reason = "voice", str(error)
        except RecordingError as error:
            failed, reason = "recording", str(error)
        except OSError as error:
            failed, reason = "disk", str(error.strerror or error)
        sys.stdout.write(json.dumps({"path": job["path"], "failed": failed, "reason": reason}) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
