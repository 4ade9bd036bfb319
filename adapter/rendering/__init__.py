# SPDX-License-Identifier: EUPL-1.2

"""What pages for people are made with: two languages and their words, moments in Dutch time, templates, paths."""

from adapter.rendering.moments import DUTCH_TIME, local, utc
from adapter.rendering.paths import (
    CPA_PATH,
    HOME_PATH,
    LANES_PATH,
    PARKED_PATH,
    PARTNERS_PATH,
    VERZOEK_PATH,
    fill_path,
)
from adapter.rendering.templates import templates_of
from adapter.rendering.words import Language, Words, counted, preferred_language, read_words

__all__ = [
    "CPA_PATH",
    "DUTCH_TIME",
    "HOME_PATH",
    "LANES_PATH",
    "PARKED_PATH",
    "PARTNERS_PATH",
    "VERZOEK_PATH",
    "Language",
    "Words",
    "counted",
    "fill_path",
    "local",
    "preferred_language",
    "read_words",
    "templates_of",
    "utc",
]
