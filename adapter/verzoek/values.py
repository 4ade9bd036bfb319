# SPDX-License-Identifier: EUPL-1.2

"""The leaves of a verzoekbericht: answers and who gave them, booleans, moments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from lxml import etree

from adapter.verzoek.elements import Fields, text_of

GEBRUIKER: Final = "gebruiker"
"""The `bron` of what the applicant filled in; the other one, `DSO-LV`, is what was looked up for them."""

DUTCH_TIME: Final = "Europe/Amsterdam"

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Answer:
    """A text, where it came from, and whether it may be published (STAM 4.0 Antwoord and PubliceerbaarText).

    `bron` is `gebruiker` or `DSO-LV`; it and `publiceerbaar` are None where the message does not say.
    """

    text: str
    bron: str | None = None
    publiceerbaar: bool | None = None


Answers = tuple[Answer, ...]
"""What one leaf says: it may occur twice, as the applicant gave it and as DSO-LV found it."""


def preferred(answers: Sequence[Answer]) -> Answer | None:
    """The answer to go by: that of the applicant, else the first; None where there is none."""
    return next((each for each in answers if each.bron == GEBRUIKER), next(iter(answers), None))


def preferred_text(answers: Sequence[Answer]) -> str | None:
    """The text of the answer to go by."""
    answer = preferred(answers)
    return None if answer is None else answer.text


def dutch_moment(text: str | None) -> datetime | None:
    """The moment that an xs:dateTime of STAM means, None where it is none.

    Those come without a zone and are Dutch local time; a zone is honoured where there is one. Of up to nine
    fraction digits six are kept. In the hour that winter time repeats, the first of both is meant.
    """
    if text is None or not _DATE_TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(DUTCH_TIME))


def boolean(text: str | None) -> bool | None:
    """An xs:boolean; None for anything else."""
    return None if text is None else _BOOLEANS.get(text.strip())


def is_confidential(text: str | None) -> bool:
    """Whether a document is to be kept confidential.

    Anything but a clear "no" counts as confidential: that mistake can be repaired, publishing cannot.
    """
    return boolean(text) is not False


def read_answers(fields: Fields, name: str) -> Answers:
    """Every answer of a leaf that is not empty, in document order."""
    read = (_answer(element) for element in fields.all(name))
    return tuple(answer for answer in read if answer is not None)


def read_answer(fields: Fields, name: str) -> Answer | None:
    """The first answer of a leaf that may occur once."""
    element = fields.first(name)
    return None if element is None else _answer(element)


def _answer(element: etree._Element) -> Answer | None:
    text = text_of(element)
    return None if text is None else Answer(text, element.get("bron"), boolean(element.get("publiceerbaar")))
