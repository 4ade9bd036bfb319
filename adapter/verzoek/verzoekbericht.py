# SPDX-License-Identifier: EUPL-1.2

"""The verzoekbericht: the STAM XML that is fetched, whole (STAM 4.0).

Read by exact paths of local names: namespaces carry the STAM version, which is of no interest here, while
names such as `oin`, `naam` and `volgnummer` occur at several levels, so that "the first one" would be the
wrong one. What is unknown is passed over, and what is missing is absent here, except what identifies a verzoek.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from lxml import etree

from adapter.verzoek.activities import (
    Document,
    GevraagdeBijlage,
    Projectactiviteit,
    VerzoekBijlage,
    read_projectactiviteit,
    read_verzoek_bijlage,
)
from adapter.verzoek.elements import Fields, child, local_name
from adapter.verzoek.kinds import Doel, known_doel
from adapter.verzoek.organisations import Organisatie, read_organisatie, read_organisaties
from adapter.verzoek.people import (
    Contactpersoon,
    Initiatiefnemer,
    read_contactpersoon,
    read_initiatiefnemer,
)
from adapter.verzoek.places import Projectlocatie, read_projectlocatie
from adapter.verzoek.problem import VerzoekberichtProblem
from adapter.verzoek.values import Answer, boolean, dutch_moment, read_answer
from cpa import XmlRefused, parse_xml

MAX_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Systeem:
    """Who sent a message, or whom it is for."""

    organisatie: str | None = None
    applicatie: str | None = None


@dataclass(frozen=True, slots=True)
class Stuurgegevens:
    """The envelope of the message."""

    zender: Systeem | None = None
    ontvanger: Systeem | None = None
    referentienummer: str | None = None
    tijdstip_bericht: str | None = None

    @property
    def sent_at(self) -> datetime | None:
        """The moment of `tijdstip_bericht`."""
        return dutch_moment(self.tijdstip_bericht)


@dataclass(frozen=True, slots=True)
class Project:
    """The project that a verzoek is part of; verzoeken that were split share its `project_id`."""

    naam: Answer | None = None
    omschrijving: Answer | None = None
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class Participatie:
    """Whether and how others were heard."""

    geparticipeerd: Answer | None = None
    participatie_wijze: Answer | None = None
    participatie_resultaat: Answer | None = None

    @property
    def is_geparticipeerd(self) -> bool | None:
        """Whether others were heard; None where that is not said."""
        return None if self.geparticipeerd is None else boolean(self.geparticipeerd.text)


@dataclass(frozen=True)
class Verzoekbericht:
    """Everything in a verzoekbericht (STAM 4.0 `verzoekXML`).

    `doel` and `type` are the texts as they came, `indien_datum` too: up to nine fraction digits and no zone.
    `akkoordverklaring` and `ambtshalve` are texts, not booleans. `uitvoerende_instantie` is absent when the
    bevoegd gezag handles the verzoek itself.
    """

    verzoeknummer: str
    volgnummer: str
    doel: str
    type: str
    bevoegd_gezag: Organisatie
    uitvoerende_instantie: Organisatie | None = None
    indien_datum: str | None = None
    version: str | None = None
    stuurgegevens: Stuurgegevens | None = None
    akkoordverklaring: str | None = None
    ambtshalve: str | None = None
    naam: Answer | None = None
    referentie_aanvrager: Answer | None = None
    toelichting_verzoek: Answer | None = None
    toelichting_later_aan_te_leveren_informatie: Answer | None = None
    toelichting_niet_aan_te_leveren_informatie: Answer | None = None
    project: Project | None = None
    bevoegd_gezag_historie: tuple[Organisatie, ...] = ()
    uitvoerende_instantie_historie: tuple[Organisatie, ...] = ()
    initiatiefnemer: Initiatiefnemer | None = None
    gemachtigde: Initiatiefnemer | None = None
    contactpersoon: Contactpersoon | None = None
    projectlocaties: tuple[Projectlocatie, ...] = ()
    projectactiviteiten: tuple[Projectactiviteit, ...] = ()
    participatie: Participatie | None = None
    verzoek_bijlage: tuple[VerzoekBijlage, ...] = ()

    @property
    def known_doel(self) -> Doel | None:
        """The doel, whatever the version calls it; None for one that is not known."""
        return known_doel(self.doel)

    @property
    def submitted_at(self) -> datetime | None:
        """The moment of `indien_datum`."""
        return dutch_moment(self.indien_datum)

    @property
    def project_id(self) -> str | None:
        """The project that it is part of."""
        return None if self.project is None else self.project.project_id

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """Each documentId of both places once, in document order; confidential when any of its places says so."""
        at_questions = (
            specificatie.gevraagde_bijlage
            for activiteit in self.projectactiviteiten
            for specificatie in activiteit.specificaties
        )
        at_verzoek = (bijlage.gevraagde_bijlage for bijlage in self.verzoek_bijlage)
        return _fold((*at_questions, *at_verzoek))


def read_verzoekbericht(data: bytes, *, max_bytes: int = MAX_BYTES) -> Verzoekbericht:
    """Read a STAM XML of any version of the family.

    Raises VerzoekberichtProblem when it is not XML, not a verzoekbericht, lacks what identifies a verzoek, or
    names a document without an id.
    """
    root, verzoek = _verzoek_in(data, max_bytes)
    fields = Fields(verzoek)
    bevoegd_gezag = read_organisatie(fields.first("bevoegdGezag"))
    if bevoegd_gezag is None:
        raise VerzoekberichtProblem("the verzoekbericht has no bevoegdGezag/oin")
    return Verzoekbericht(
        verzoeknummer=_required(fields, "verzoeknummer"),
        volgnummer=_required(fields, "volgnummer"),
        doel=_required(fields, "doel"),
        type=_required(fields, "type"),
        bevoegd_gezag=bevoegd_gezag,
        uitvoerende_instantie=read_organisatie(fields.first("uitvoerendeInstantie")),
        indien_datum=fields.text("indienDatum"),
        version=root.get("version"),
        stuurgegevens=_stuurgegevens(child(root, "stuurgegevens")),
        akkoordverklaring=fields.text("akkoordverklaring"),
        ambtshalve=fields.text("ambtshalve"),
        naam=read_answer(fields, "naam"),
        referentie_aanvrager=read_answer(fields, "referentieAanvrager"),
        toelichting_verzoek=read_answer(fields, "toelichtingVerzoek"),
        toelichting_later_aan_te_leveren_informatie=read_answer(
            fields, "toelichtingLaterAanTeLeverenInformatie"
        ),
        toelichting_niet_aan_te_leveren_informatie=read_answer(
            fields, "toelichtingNietAanTeLeverenInformatie"
        ),
        project=_project(fields.first("project")),
        bevoegd_gezag_historie=read_organisaties(fields.within("bevoegdGezagHistorie", "bevoegdGezag")),
        uitvoerende_instantie_historie=read_organisaties(
            fields.within("uitvoerendeInstantieHistorie", "uitvoerendeInstantie")
        ),
        initiatiefnemer=read_initiatiefnemer(fields.first("initiatiefnemer")),
        gemachtigde=read_initiatiefnemer(fields.first("gemachtigde")),
        contactpersoon=read_contactpersoon(fields.first("contactpersoon")),
        projectlocaties=tuple(
            read_projectlocatie(each) for each in fields.within("projectlocaties", "projectlocatie")
        ),
        projectactiviteiten=tuple(
            read_projectactiviteit(each) for each in fields.within("projectactiviteiten", "projectactiviteit")
        ),
        participatie=_participatie(fields.first("participatie")),
        verzoek_bijlage=tuple(read_verzoek_bijlage(each) for each in fields.all("verzoekBijlage")),
    )


def _verzoek_in(data: bytes, max_bytes: int) -> tuple[etree._Element, etree._Element]:
    try:
        root = parse_xml(data, max_bytes=max_bytes)
    except XmlRefused as problem:
        raise VerzoekberichtProblem(f"the verzoekbericht is not acceptable XML: {problem}") from problem
    verzoek = child(root, "verzoek")
    if local_name(root) != "verzoekXML" or verzoek is None:
        raise VerzoekberichtProblem(f"expected verzoekXML/verzoek, found the root <{local_name(root)[:100]}>")
    return root, verzoek


def _required(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if value is None:
        raise VerzoekberichtProblem(f"the verzoekbericht has no {name}")
    return value


def _stuurgegevens(element: etree._Element | None) -> Stuurgegevens | None:
    if element is None:
        return None
    fields = Fields(element)
    return Stuurgegevens(
        zender=_systeem(fields.first("zender")),
        ontvanger=_systeem(fields.first("ontvanger")),
        referentienummer=fields.text("referentienummer"),
        tijdstip_bericht=fields.text("tijdstipBericht"),
    )


def _systeem(element: etree._Element | None) -> Systeem | None:
    if element is None:
        return None
    fields = Fields(element)
    return Systeem(fields.text("organisatie"), fields.text("applicatie"))


def _project(element: etree._Element | None) -> Project | None:
    if element is None:
        return None
    fields = Fields(element)
    return Project(read_answer(fields, "naam"), read_answer(fields, "omschrijving"), fields.text("projectId"))


def _participatie(element: etree._Element | None) -> Participatie | None:
    if element is None:
        return None
    fields = Fields(element)
    return Participatie(
        geparticipeerd=read_answer(fields, "geparticipeerd"),
        participatie_wijze=read_answer(fields, "participatieWijze"),
        participatie_resultaat=read_answer(fields, "participatieResultaat"),
    )


def _fold(bijlagen: Iterable[GevraagdeBijlage | None]) -> tuple[Document, ...]:
    """One entry for each documentId: the first, confidential when any of them is."""
    folded: dict[str, Document] = {}
    for document in (each for bijlage in bijlagen if bijlage is not None for each in bijlage.documenten):
        known = folded.setdefault(document.document_id, document)
        if document.vertrouwelijk and not known.vertrouwelijk:
            folded[document.document_id] = replace(known, vertrouwelijk=True)
    return tuple(folded.values())
