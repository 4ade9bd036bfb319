"""What kinds of verzoek there are: their types, and what each message of one is for."""

from enum import StrEnum
from typing import Final

STAM_TYPES: Final = (
    "Aanvraag vergunning",
    "Melding",
    "Informatie",
    "Informatie ongewoon voorval",
    "Aanvraag maatwerkvoorschrift",
    "Melding gelijkwaardige maatregel",
    "Aanvraag toestemming gelijkwaardige maatregel",
)
"""The types of a verzoek (STAM 4.0 TypeVerzoek); a later version may have others."""


class Doel(StrEnum):
    """What a message is for (STAM 4.0 DoelVerzoek)."""

    CONCEPTVERZOEK = "Conceptverzoek"
    INITIEREN = "Initieren"
    AANVULLEN = "Aanvullen"
    INTREKKEN = "Intrekken"


_DOELEN: Final = {each.value.casefold(): each for each in Doel} | {
    "vooroverleg": Doel.CONCEPTVERZOEK,  # STAM 3 and older
    "initiëren": Doel.INITIEREN,  # as people write it
}


def known_doel(text: str | None) -> Doel | None:
    """The doel that a text means in any version of STAM; None for one that is not known."""
    return _DOELEN.get((text or "").casefold())
