# SPDX-License-Identifier: EUPL-1.2

"""What is asked: activities, their questions and answers, and the documents that belong to them (STAM 4.0)."""

from dataclasses import dataclass

from lxml import etree

from adapter.verzoek.elements import Fields
from adapter.verzoek.problem import VerzoekberichtProblem
from adapter.verzoek.values import boolean, is_confidential


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a verzoek; `bestandsnaam` is what the applicant called it, and not safe to use as it
    is.
    """

    document_id: str
    bestandsnaam: str
    vertrouwelijk: bool


@dataclass(frozen=True, slots=True)
class GevraagdeBijlage:
    """A kind of document that was asked for, and the documents that were given.

    `verplicht` is free text. `documenten` are as they stand there: a documentId may occur elsewhere too.
    """

    documentsoort_dso: str | None = None
    documenttype_generiek: str | None = None
    potentieel_vertrouwelijk: bool = True
    verplicht: str | None = None
    documenten: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True)
class VerzoekBijlage:
    """A kind of document that belongs to the verzoek as a whole."""

    vraagreferentie: str | None = None
    gevraagde_bijlage: GevraagdeBijlage | None = None


@dataclass(frozen=True, slots=True)
class Specificatie:
    """A question and its answer.

    `oorspronkelijk_antwoord` is what an Aanvulling changed. `publiceerbaar` is true only where that is said.
    """

    vraag_id: str | None = None
    vraagtekst: str | None = None
    antwoord: str | None = None
    oorspronkelijk_antwoord: str | None = None
    vraagclassificatie: str | None = None
    vraagreferentie: str | None = None
    groepering: str | None = None
    publiceerbaar: bool = False
    gevraagde_bijlage: GevraagdeBijlage | None = None


@dataclass(frozen=True, slots=True)
class OnderliggendeActiviteit:
    """The activity that an activity is part of."""

    activiteit_id: str | None = None
    imow_id: str | None = None
    activiteitnaam: str | None = None


@dataclass(frozen=True, slots=True)
class Projectactiviteit:
    """An activity that is asked or reported; `volgnummer` is its own, not that of the verzoek."""

    activiteit_id: str | None = None
    imow_id: str | None = None
    activiteitnaam: str | None = None
    volgnummer: str | None = None
    specificaties: tuple[Specificatie, ...] = ()
    onderliggende_activiteit: OnderliggendeActiviteit | None = None


def read_projectactiviteit(element: etree._Element) -> Projectactiviteit:
    """Read an activity; raises VerzoekberichtProblem where a document has no documentId."""
    fields = Fields(element)
    return Projectactiviteit(
        activiteit_id=fields.text("activiteitId"),
        imow_id=fields.text("imowId"),
        activiteitnaam=fields.text("activiteitnaam"),
        volgnummer=fields.text("volgnummer"),
        specificaties=tuple(_specificatie(each) for each in fields.within("specificaties", "specificatie")),
        onderliggende_activiteit=_onderliggende_activiteit(fields.first("onderliggendeActiviteit")),
    )


def read_verzoek_bijlage(element: etree._Element) -> VerzoekBijlage:
    """Read documents of the verzoek as a whole; raises VerzoekberichtProblem where one has no documentId."""
    fields = Fields(element)
    return VerzoekBijlage(
        vraagreferentie=fields.text("vraagreferentie"),
        gevraagde_bijlage=_gevraagde_bijlage(fields.first("gevraagdeBijlage")),
    )


def _specificatie(element: etree._Element) -> Specificatie:
    fields = Fields(element)
    return Specificatie(
        vraag_id=fields.text("vraagId"),
        vraagtekst=fields.text("vraagtekst"),
        antwoord=fields.text("antwoord"),
        oorspronkelijk_antwoord=fields.text("oorspronkelijkAntwoord"),
        vraagclassificatie=fields.text("vraagclassificatie"),
        vraagreferentie=fields.text("vraagreferentie"),
        groepering=fields.text("groepering"),
        publiceerbaar=boolean(fields.text("publiceerbaar")) is True,
        gevraagde_bijlage=_gevraagde_bijlage(fields.first("gevraagdeBijlage")),
    )


def _onderliggende_activiteit(element: etree._Element | None) -> OnderliggendeActiviteit | None:
    if element is None:
        return None
    fields = Fields(element)
    return OnderliggendeActiviteit(
        activiteit_id=fields.text("activiteitId"),
        imow_id=fields.text("imowId"),
        activiteitnaam=fields.text("activiteitnaam"),
    )


def _gevraagde_bijlage(element: etree._Element | None) -> GevraagdeBijlage | None:
    if element is None:
        return None
    fields = Fields(element)
    return GevraagdeBijlage(
        documentsoort_dso=fields.text("documentsoortDSO"),
        documenttype_generiek=fields.text("documenttypeGeneriek"),
        potentieel_vertrouwelijk=is_confidential(fields.text("potentieelVertrouwelijk")),
        verplicht=fields.text("verplicht"),
        documenten=tuple(_document(each) for each in fields.within("documenten", "document")),
    )


def _document(element: etree._Element) -> Document:
    fields = Fields(element)
    document_id, bestandsnaam = fields.text("documentId"), fields.text("bestandsnaam")
    if document_id is None:
        raise VerzoekberichtProblem(
            f"a document has no documentId (line {fields.line}, bestandsnaam {bestandsnaam!r})"
        )
    return Document(document_id, bestandsnaam or "", is_confidential(fields.text("vertrouwelijk")))
