# SPDX-License-Identifier: EUPL-1.2

"""What pages for people are made with: two languages and their words, moments in Dutch time, templates."""

from adapter.rendering.moments import DUTCH_TIME, local, utc
from adapter.rendering.templates import templates_of
from adapter.rendering.words import Language, Words, preferred_language, read_words

__all__ = [
    "DUTCH_TIME",
    "Language",
    "Words",
    "local",
    "preferred_language",
    "read_words",
    "templates_of",
    "utc",
]
