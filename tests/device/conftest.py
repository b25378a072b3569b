"""What the tests of the speaker share."""

from tests.device.speakers import buzzer, heard, made_clips, speaker

__all__ = ["buzzer", "heard", "made_clips", "speaker"]
