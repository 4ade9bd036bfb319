# SPDX-License-Identifier: EUPL-1.2

"""What kinds of verzoek there are: their types, and what each message of one is for."""

import unicodedata
from enum import StrEnum
from typing import Final


class VerzoekType(StrEnum):
    """What is asked or reported (STAM 4.0 TypeVerzoek)."""

    AANVRAAG_VERGUNNING = "Aanvraag vergunning"
    MELDING = "Melding"
    INFORMATIE = "Informatie"
    INFORMATIE_ONGEWOON_VOORVAL = "Informatie ongewoon voorval"
    AANVRAAG_MAATWERKVOORSCHRIFT = "Aanvraag maatwerkvoorschrift"
    MELDING_GELIJKWAARDIGE_MAATREGEL = "Melding gelijkwaardige maatregel"
    AANVRAAG_TOESTEMMING_GELIJKWAARDIGE_MAATREGEL = "Aanvraag toestemming gelijkwaardige maatregel"


STAM_TYPES: Final = tuple(each.value for each in VerzoekType)
"""The types of a verzoek as texts; a later version may have others."""


class Doel(StrEnum):
    """What a message is for (STAM 4.0 DoelVerzoek)."""

    CONCEPTVERZOEK = "Conceptverzoek"
    INITIEREN = "Initieren"
    AANVULLEN = "Aanvullen"
    INTREKKEN = "Intrekken"


_DOELEN: Final = {each.value.casefold(): each for each in Doel} | {
    "vooroverleg": Doel.CONCEPTVERZOEK,  # STAM 3 and older
}


def known_doel(text: str | None) -> Doel | None:
    """The doel that a text means in any version of STAM, also as people write it (`Initiëren`); None for an unknown."""
    plain = unicodedata.normalize("NFKD", text or "").casefold()
    return _DOELEN.get("".join(letter for letter in plain if letter.isalpha()))
