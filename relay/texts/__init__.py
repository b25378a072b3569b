"""What the relay says to people, in Chinese (first) and in English (complete).

A ``Text`` is one thing to say, with both languages beside each other: leaving one out is a type error, and a test
compares their placeholders. A further language is a catalogue from the English sentences to its own.
"""

from relay.texts.language import Language, Text, choose_language, parse_language

__all__ = ["Language", "Text", "choose_language", "parse_language"]
