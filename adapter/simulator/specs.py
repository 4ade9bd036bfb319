"""What a made-up verzoek is made of: number, parties, purpose and documents; everything else follows from
its seed.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

TYPES = (
    "Aanvraag vergunning",
    "Melding",
    "Informatie",
    "Informatie ongewoon voorval",
    "Aanvraag maatwerkvoorschrift",
    "Melding gelijkwaardige maatregel",
    "Aanvraag toestemming gelijkwaardige maatregel",
)


@dataclass(frozen=True, slots=True)
class DocumentSpec:
    """A document to make: `size` in octets; another `version` has other octets under the same documentId."""

    bestandsnaam: str
    size: int = 20_000
    content_type: str = "application/pdf"
    vertrouwelijk: bool = False
    version: int = 1


@dataclass(frozen=True, slots=True)
class VerzoekSpec:
    """A verzoek to make. OINs name the bevoegd gezag and, where another body handles it, the behandeldienst.

    `seed` varies the applicant, the place and the documents. Documents keep their documentId over the
    messages of one verzoek (an Aanvulling repeats what was sent before), as long as they keep their place
    in the list.
    """

    verzoeknummer: str
    bevoegd_gezag: str
    volgnummer: str = "000"
    doel: str = "Initieren"
    type: str = "Aanvraag vergunning"
    behandeldienst: str | None = None
    documents: tuple[DocumentSpec, ...] = ()
    seed: int = 1

    def chance(self, topic: str) -> Random:
        """The chance that decides on one topic of this verzoek, the same every time."""
        return Random(f"{self.seed}:{self.verzoeknummer}:{topic}")  # noqa: S311 - variety, no secret

    @property
    def place(self) -> tuple[float, float]:
        """Where it is, in RD (x, y): within 500 metres of the middle of the country."""
        chance = self.chance("place")
        return 155_000 + chance.uniform(-500, 500), 463_000 + chance.uniform(-500, 500)

    @property
    def submitted(self) -> datetime:
        """The moment of submission in Dutch local time, without a zone; on the day in the verzoeknummer."""
        seconds = self.chance(f"time {self.volgnummer}").randint(8 * 3600, 18 * 3600)
        return datetime.combine(_day_in(self.verzoeknummer), time()) + timedelta(seconds=seconds)


def verzoeknummer(day: date, sequence: int) -> str:
    """A verzoeknummer as DSO-LV gives them: yyyymmdd and the number of that day in five digits."""
    return f"{day:%Y%m%d}{sequence:05d}"


def random_spec(number: str, bevoegd_gezag: str, seed: int, behandeldienst: str | None = None) -> VerzoekSpec:
    """A specification with some variety: its type, and up to four documents of different kinds and sizes."""
    spec = VerzoekSpec(number, bevoegd_gezag, behandeldienst=behandeldienst, seed=seed)
    chance = spec.chance("documents")
    kinds = (
        ("situatietekening.pdf", "application/pdf"),
        ("gevelaanzicht.png", "image/png"),
        ("toelichting bij de aanvraag.doc", "application/msword"),
        ("constructieberekening.pdf", "application/pdf"),
    )
    documents = tuple(
        DocumentSpec(name, chance.randint(2_000, 200_000), content_type, vertrouwelijk=chance.random() < 0.2)
        for name, content_type in chance.sample(kinds, chance.randint(1, len(kinds)))
    )
    return VerzoekSpec(
        number,
        bevoegd_gezag,
        type=chance.choice(TYPES),
        behandeldienst=behandeldienst,
        documents=documents,
        seed=seed,
    )


def _day_in(number: str) -> date:
    try:
        return date.fromisoformat(number[:8])
    except ValueError:
        return date(2024, 1, 1)
