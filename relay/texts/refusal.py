"""An error of the person at the keyboard, told in their language."""

from __future__ import annotations

from doorbell.errors import SetupError
from relay.texts.language import Language, Text


class RefusalError(SetupError):
    """What cannot be done, and what to do instead; in English where nobody knows a language."""

    def __init__(self, text: Text, /, **fields: object) -> None:
        super().__init__(text.say(Language.EN, **fields))
        self.text = text
        self.fields = fields
