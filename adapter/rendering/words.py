# SPDX-License-Identifier: EUPL-1.2

"""The languages in which people read what the adapter makes, and the words of each: one TOML file per language."""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

Words = Mapping[str, Any]
"""Words by their names, in the tables of their file."""

_ANY: Final = "*"
_HIGHEST: Final = 1.0


class Language(StrEnum):
    """The languages there are words in."""

    NL = "nl"
    EN = "en"


@cache
def read_words(package: str, name: str, language: Language) -> Words:
    """All words of a language in the file `<name>.<language>.toml` of a package; `name` may begin with a directory."""
    return tomllib.loads((files(package) / f"{name}.{language}.toml").read_text("utf-8"))


def counted(words: Mapping[str, str], count: int, **fields: object) -> str:
    """A sentence about so many: of `one` and `many`, the one that fits, with `{count}` and other fields filled in."""
    return words["one" if count == 1 else "many"].format(count=count, **fields)


def preferred_language(accepted: str | None) -> Language:
    """The language that a browser asks for (`Accept-Language`, RFC 9110 12.5.4); Dutch where it asks for neither."""
    wanted: dict[Language, float] = {}
    for part in (accepted or "").split(","):
        tag, _, parameters = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameters)
        if language == _ANY and quality > 0:
            wanted.setdefault(Language.NL, quality)
        elif language in set(Language) and quality > 0:
            wanted[Language(language)] = max(quality, wanted.get(Language(language), 0.0))
    return max(wanted, key=lambda one: wanted[one], default=Language.NL)


def _quality(parameters: str) -> float:
    """The weight in `q=0.8`; one that is no number weighs nothing."""
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return _HIGHEST
    try:
        return float(value)
    except ValueError:
        return 0.0
