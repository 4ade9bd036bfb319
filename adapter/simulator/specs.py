# SPDX-License-Identifier: EUPL-1.2

"""What a made-up verzoek is made of: number, parties, purpose, content and documents; what is left open follows
from its seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from random import Random
from typing import Final

from adapter.verzoek import STAM_TYPES, Doel

LONG_NAME: Final = (
    "Verbouwing, uitbreiding en verduurzaming van het voormalige schoolgebouw Nergenshuis met bijgebouwen, "
    "erfafscheiding en een tijdelijke bouwweg"
)
"""A name that no field of eighty characters can hold."""

HOSTILE_NAMES: Final = (
    "../../etc/passwd",
    "CON.pdf",
    f"{'zeer lange naam ' * 20}tekening.pdf"[-300:],
    "plattegrond.pdf",
    "plattegrond.pdf",
    "Plattegrond.PDF",
    "..\\..\\windows\\win.ini",
    "aanvraag\u202efdp.exe",
    '"a"; name="b".pdf',
)
"""File names as an applicant might choose them, by mistake or not: two are equal, and one differs in case only."""


class Applicant(StrEnum):
    """Who asks."""

    PERSON = "person"
    COMPANY = "company"  # with a contactpersoon
    REPRESENTED = "represented"  # a person, and a company as gemachtigde, with a contactpersoon


class Place(StrEnum):
    """How a location is given, beside its coordinates in ETRS89."""

    POINT = "point"
    SURFACE = "surface"
    ADDRESS = "address"
    PARCEL = "parcel"


@dataclass(frozen=True, slots=True)
class DocumentSpec:
    """A document to make: `size` in octets; another `version` has other octets under the same documentId.

    Without a `document_id` it follows from the verzoek and the place in its list.
    """

    bestandsnaam: str
    size: int = 20_000
    content_type: str = "application/pdf"
    vertrouwelijk: bool = False
    version: int = 1
    document_id: str | None = None


@dataclass(frozen=True, slots=True)
class VerzoekSpec:
    """A verzoek to make. OINs name the bevoegd gezag and, where another body handles it, the behandeldienst.

    `seed` decides on everything that is None. Documents keep their documentId over the messages of one verzoek (an
    Aanvulling repeats what was sent before), as long as they keep their place in the list. Verzoeken that were
    split from one application share their `project`. `changed` are answers by vraagId that an Aanvulling changed.
    """

    verzoeknummer: str
    bevoegd_gezag: str
    volgnummer: str = "000"
    doel: str = Doel.INITIEREN.value
    type: str = STAM_TYPES[0]
    behandeldienst: str | None = None
    documents: tuple[DocumentSpec, ...] = ()
    seed: int = 1
    naam: str | None = None
    project: str | None = None
    applicant: Applicant | None = None
    places: tuple[Place, ...] | None = None
    activities: int | None = None
    changed: tuple[tuple[str, str], ...] = ()

    def chance(self, topic: str) -> Random:
        """The chance that decides on one topic of this verzoek, the same for each of its messages."""
        return Random(f"{self.seed}:{self.verzoeknummer}:{topic}")  # noqa: S311 - variety, no secret

    @property
    def place(self) -> tuple[float, float]:
        """Where it is, in RD (x, y): within 500 metres of the middle of the country."""
        chance = self.chance("place")
        return 155_000 + chance.uniform(-500, 500), 463_000 + chance.uniform(-500, 500)

    @property
    def project_id(self) -> str:
        """The project that it is part of."""
        return self.project or f"{self.chance('project').getrandbits(64):016x}"

    @property
    def kind_of_applicant(self) -> Applicant:
        """Who asks."""
        return self.applicant or self.chance("applicant").choice(tuple(Applicant))

    @property
    def kinds_of_places(self) -> tuple[Place, ...]:
        """How its locations are given: one or two of them, where nothing else is said."""
        if self.places is not None:
            return self.places
        chance = self.chance("places")
        return tuple(chance.sample(tuple(Place), chance.randint(1, 2)))

    @property
    def number_of_activities(self) -> int:
        """How many activities it is about: up to three, where nothing else is said."""
        return self.activities or self.chance("activities").randint(1, 3)

    @property
    def submitted(self) -> datetime:
        """The moment of submission in Dutch local time, without a zone; on the day in the verzoeknummer.

        Later messages of one verzoek come later.
        """
        seconds = self.chance("time").randint(8 * 3600, 16 * 3600) + 60 * _ordinal(self.volgnummer)
        return datetime.combine(_day_in(self.verzoeknummer), time()) + timedelta(seconds=seconds)


def verzoeknummer(day: date, sequence: int) -> str:
    """A verzoeknummer as DSO-LV gives them: yyyymmdd and the number of that day in five digits."""
    return f"{day:%Y%m%d}{sequence:05d}"


def next_volgnummer(volgnummer: str) -> str:
    """The volgnummer of the message that follows the one with this."""
    return f"{_ordinal(volgnummer) + 1:03d}"


def random_spec(number: str, bevoegd_gezag: str, seed: int, behandeldienst: str | None = None) -> VerzoekSpec:
    """A specification with variety: its type, its name, and up to four documents of different kinds and sizes; now
    and then with names that are hostile.
    """
    spec = VerzoekSpec(number, bevoegd_gezag, behandeldienst=behandeldienst, seed=seed)
    chance = spec.chance("documents")
    return VerzoekSpec(
        number,
        bevoegd_gezag,
        type=chance.choice(STAM_TYPES),
        behandeldienst=behandeldienst,
        documents=hostile_documents() if chance.random() < 0.15 else random_documents(chance),
        naam=LONG_NAME if chance.random() < 0.25 else None,
        seed=seed,
    )


def hostile_documents(names: Sequence[str] = HOSTILE_NAMES, size: int = 2_000) -> tuple[DocumentSpec, ...]:
    """Documents whose names are dangerous, too long, or equal; their contents differ."""
    return tuple(DocumentSpec(name, size + position) for position, name in enumerate(names))


def random_documents(chance: Random) -> tuple[DocumentSpec, ...]:
    """Up to four documents of different kinds and sizes."""
    kinds = (
        ("situatietekening.pdf", "application/pdf"),
        ("gevelaanzicht.png", "image/png"),
        ("toelichting bij de aanvraag.doc", "application/msword"),
        ("constructieberekening.pdf", "application/pdf"),
    )
    return tuple(
        DocumentSpec(name, chance.randint(2_000, 200_000), content_type, vertrouwelijk=chance.random() < 0.2)
        for name, content_type in chance.sample(kinds, chance.randint(1, len(kinds)))
    )


def _ordinal(volgnummer: str) -> int:
    return int(volgnummer) if volgnummer.isascii() and volgnummer.isdigit() else 0


def _day_in(number: str) -> date:
    try:
        return date.fromisoformat(number[:8])
    except ValueError:
        return date(2024, 1, 1)
