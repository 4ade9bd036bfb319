"""The verzoekbericht: the STAM XML that is fetched, as far as collecting and handing over need it.

Read by exact paths of local names: namespaces carry the STAM version, which is of no interest here, while
names such as `oin`, `naam` and `volgnummer` occur at several levels, so that "the first one" would be the
wrong one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lxml import etree

from adapter.stam.elements import child, children, local_name, text_at
from cpa import XmlRefused, parse_xml

MAX_BYTES = 32 * 1024 * 1024


class VerzoekberichtProblem(ValueError):
    """A fetched file is no readable verzoekbericht; the message is the reason for the operator."""

    @property
    def reason(self) -> str:
        """What is wrong, and where."""
        return str(self)


@dataclass(frozen=True, slots=True)
class Organisatie:
    """A bevoegd gezag or behandeldienst. The naam can be absent, or be just the OIN."""

    oin: str
    naam: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a verzoek; `bestandsnaam` is what the applicant called it, and not safe to use as it
    is.
    """

    document_id: str
    bestandsnaam: str
    vertrouwelijk: bool


@dataclass(frozen=True, slots=True)
class Verzoekbericht:
    """The identity of a verzoek, who acts on it, and its documents (STAM 4.0 `verzoekXML/verzoek`).

    `indien_datum` is the text as it came: up to nine fraction digits and no zone. `uitvoerende_instantie`
    is absent when the bevoegd gezag handles the verzoek itself. `documents` names each documentId once, in
    document order.
    """

    verzoeknummer: str
    volgnummer: str
    doel: str
    type: str
    bevoegd_gezag: Organisatie
    uitvoerende_instantie: Organisatie | None = None
    indien_datum: str | None = None
    project_id: str | None = None
    documents: tuple[Document, ...] = ()


def read_verzoekbericht(data: bytes, *, max_bytes: int = MAX_BYTES) -> Verzoekbericht:
    """Read a STAM XML of any version of the family.

    Raises VerzoekberichtProblem when it is not XML, not a verzoekbericht, or lacks what identifies a verzoek.
    """
    verzoek = _verzoek_in(data, max_bytes)
    bevoegd_gezag = _organisatie(child(verzoek, "bevoegdGezag"))
    if bevoegd_gezag is None:
        raise VerzoekberichtProblem("the verzoekbericht has no bevoegdGezag/oin")
    return Verzoekbericht(
        verzoeknummer=_required(verzoek, "verzoeknummer"),
        volgnummer=_required(verzoek, "volgnummer"),
        doel=_required(verzoek, "doel"),
        type=_required(verzoek, "type"),
        bevoegd_gezag=bevoegd_gezag,
        uitvoerende_instantie=_organisatie(child(verzoek, "uitvoerendeInstantie")),
        indien_datum=text_at(verzoek, "indienDatum"),
        project_id=text_at(verzoek, "project", "projectId"),
        documents=_fold(_documents(verzoek)),
    )


def _verzoek_in(data: bytes, max_bytes: int) -> etree._Element:
    try:
        root = parse_xml(data, max_bytes=max_bytes)
    except XmlRefused as problem:
        raise VerzoekberichtProblem(f"the verzoekbericht is not acceptable XML: {problem}") from problem
    verzoek = child(root, "verzoek")
    if local_name(root) != "verzoekXML" or verzoek is None:
        raise VerzoekberichtProblem(f"expected verzoekXML/verzoek, found the root <{local_name(root)[:100]}>")
    return verzoek


def _required(verzoek: etree._Element, name: str) -> str:
    value = text_at(verzoek, name)
    if value is None:
        raise VerzoekberichtProblem(f"the verzoekbericht has no {name}")
    return value


def _organisatie(element: etree._Element | None) -> Organisatie | None:
    oin = None if element is None else text_at(element, "oin")
    if element is None or oin is None:
        return None
    return Organisatie(oin=oin, naam=text_at(element, "naam"))


def _documents(verzoek: etree._Element) -> Iterator[Document]:
    for gevraagd in _gevraagde_bijlagen(verzoek):
        documenten = child(gevraagd, "documenten")
        if documenten is not None:
            yield from (_document(element) for element in children(documenten, "document"))


def _gevraagde_bijlagen(verzoek: etree._Element) -> Iterator[etree._Element]:
    """Both places where documents are named: at a question of an activity, and at the verzoek itself."""
    activiteiten = child(verzoek, "projectactiviteiten")
    for activiteit in () if activiteiten is None else children(activiteiten, "projectactiviteit"):
        specificaties = child(activiteit, "specificaties")
        for specificatie in () if specificaties is None else children(specificaties, "specificatie"):
            yield from children(specificatie, "gevraagdeBijlage")
    for bijlage in children(verzoek, "verzoekBijlage"):
        yield from children(bijlage, "gevraagdeBijlage")


def _document(element: etree._Element) -> Document:
    document_id = text_at(element, "documentId")
    if document_id is None:
        raise VerzoekberichtProblem(
            f"a document has no documentId (line {element.sourceline}, "
            f"bestandsnaam {text_at(element, 'bestandsnaam')!r})"
        )
    # Anything but a clear "no" counts as confidential: that mistake can be repaired, publishing cannot.
    vertrouwelijk = text_at(element, "vertrouwelijk") not in {"false", "0"}
    return Document(document_id, text_at(element, "bestandsnaam") or "", vertrouwelijk)


def _fold(documents: Iterator[Document]) -> tuple[Document, ...]:
    """One entry for each documentId: the first, confidential when any of them is."""
    folded: dict[str, Document] = {}
    for document in documents:
        known = folded.setdefault(document.document_id, document)
        if document.vertrouwelijk and not known.vertrouwelijk:
            folded[document.document_id] = replace(known, vertrouwelijk=True)
    return tuple(folded.values())
