# SPDX-License-Identifier: EUPL-1.2

"""The words of the evidence in Dutch, which DSO-beheer reads, and in English: one file of words per language."""

from collections.abc import Mapping
from typing import Final

from adapter.connecting.evidence import Outcome, Step, Trouble
from adapter.rendering import Language, read_words

Words = Mapping[str, str]

TABLES: Final = ("page", "steps", "outcomes", "facts", "values", "advice")
"""The tables of a file of words."""


def words(language: Language) -> Mapping[str, Words]:
    """All words of a language, in the tables of its file."""
    return read_words("adapter.connecting", "words", language)


def page_words(language: Language) -> Words:
    """The words of headings and labels."""
    return words(language)["page"]


def fact_words(language: Language) -> Words:
    """The words of the names of facts."""
    return words(language)["facts"]


def value_words(language: Language) -> Words:
    """The words of values: states, kinds, directions."""
    return words(language)["values"]


def step_title(step: Step, language: Language) -> str:
    """What a step is called."""
    return words(language)["steps"][step]


def outcome_word(outcome: Outcome, language: Language) -> str:
    """How a step ended, in a word."""
    return words(language)["outcomes"][outcome]


def advice(trouble: Trouble, language: Language) -> str:
    """What to do when a step failed so."""
    return words(language)["advice"][trouble]
