"""The XML of made-up verzoeken: verzoekbericht and verzoeknotificatie, with persons and places that do not
exist.

The order of the elements is the order of the STAM 4.0 schema and is normative. The schema of the
notification is not public; the one made here has the shape its receivers describe, in a namespace of the
same family.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from lxml import etree

from adapter.simulator.specs import DocumentSpec, VerzoekSpec

FAMILY = "http://www.omgevingswet.nl/koppelvlak/"
IMAM = f"{FAMILY}stam-v4/IMAM"
VX = f"{FAMILY}stam-v4/verzoek"
IC = f"{FAMILY}stam-v4/common"
GML = "http://www.opengis.net/gml"
NOTIFICATION = f"{FAMILY}stam-v2/verzoeknotificatie"

DSO_OIN = "00000099000000004000"  # an OIN of the test series, for the party that does not exist

Documents = Sequence[tuple[DocumentSpec, str]]  # with the documentId of each


class _Writer:
    """Adds elements of one namespace below a parent."""

    def __init__(self, parent: etree._Element, namespace: str) -> None:
        self.parent = parent
        self.namespace = namespace

    def leaf(self, name: str, text: str, **attributes: str) -> None:
        etree.SubElement(self.parent, f"{{{self.namespace}}}{name}", attributes).text = text

    def node(self, name: str, namespace: str | None = None) -> "_Writer":
        """Adds an element; `namespace` is that of its own children where it differs."""
        element = etree.SubElement(self.parent, f"{{{self.namespace}}}{name}")
        return _Writer(element, namespace or self.namespace)

    def answer(self, name: str, text: str, *, looked_up: str | None = None) -> None:
        """Adds an Antwoord: as the user gave it and, where it was looked up too, as DSO-LV found it."""
        self.leaf(name, text, bron="gebruiker", publiceerbaar="false")
        if looked_up is not None:
            self.leaf(name, looked_up, bron="DSO-LV", publiceerbaar="false")


def verzoekbericht(spec: VerzoekSpec, documents: Documents) -> bytes:
    """The verzoekbericht of a specification.

    Documents are named in both places of the schema, and the first of them in both: receivers have to fold
    it.
    """
    root = etree.Element(
        f"{{{IMAM}}}verzoekXML", {"version": "4.0.0"}, {None: IMAM, "vx": VX, "ic": IC, "gml": GML}
    )
    _stuurgegevens(_Writer(root, IMAM), spec)
    verzoek = _Writer(etree.SubElement(root, f"{{{IMAM}}}verzoek"), VX)
    _head(verzoek, spec)
    _organisations(verzoek, spec)
    _initiatiefnemer(verzoek.node("initiatiefnemer"), spec)
    _places(verzoek.node("projectlocaties"), spec)
    _activiteit(verzoek.node("projectactiviteiten").node("projectactiviteit"), documents[:-1] or documents)
    participatie = verzoek.node("participatie")
    participatie.leaf("geparticipeerd", "false", publiceerbaar="true")
    for document in dict.fromkeys((*documents[-1:], *documents[:1])):
        _gevraagde_bijlage(verzoek.node("verzoekBijlage").node("gevraagdeBijlage"), (document,))
    return _serialized(root)


def notification(spec: VerzoekSpec) -> bytes:
    """The verzoeknotificatie of a specification."""
    root = etree.Element(f"{{{NOTIFICATION}}}verzoeknotificatie", None, {None: NOTIFICATION})
    writer = _Writer(root, NOTIFICATION)
    _stuurgegevens(writer, spec)
    verzoek = writer.node("verzoek")
    verzoek.leaf("verzoeknummer", spec.verzoeknummer)
    verzoek.leaf("volgnummer", spec.volgnummer)
    verzoek.leaf("doel", spec.doel)
    verzoek.leaf("type", spec.type)
    verzoek.node("bevoegdGezag").leaf("oin", spec.bevoegd_gezag)
    if spec.behandeldienst:
        verzoek.node("uitvoerendeInstantie").leaf("oin", spec.behandeldienst)
    return _serialized(root)


def _serialized(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _moment(spec: VerzoekSpec, later: timedelta = timedelta()) -> str:
    """A moment as DSO-LV writes it: without a zone, and with nine fraction digits."""
    return f"{spec.submitted + later:%Y-%m-%dT%H:%M:%S}.{spec.chance('fraction').randrange(10**9):09d}"


def _stuurgegevens(root: _Writer, spec: VerzoekSpec) -> None:
    stuurgegevens = root.node("stuurgegevens")
    zender = stuurgegevens.node("zender")
    zender.leaf("organisatie", DSO_OIN)
    zender.leaf("applicatie", "DSO-LV (simulator)")
    ontvanger = stuurgegevens.node("ontvanger")
    ontvanger.leaf("organisatie", spec.behandeldienst or spec.bevoegd_gezag)
    ontvanger.leaf("applicatie", "onbekend")
    stuurgegevens.leaf("referentienummer", f"{spec.verzoeknummer}-{spec.volgnummer}")
    stuurgegevens.leaf("tijdstipBericht", _moment(spec, timedelta(minutes=2)))


def _head(verzoek: _Writer, spec: VerzoekSpec) -> None:
    verzoek.leaf("akkoordverklaring", "true")
    verzoek.leaf("ambtshalve", "false")
    verzoek.leaf("doel", spec.doel)
    verzoek.leaf("indienDatum", _moment(spec))
    verzoek.leaf("naam", f"Simulatie {spec.type.lower()} {spec.verzoeknummer}", publiceerbaar="true")
    verzoek.leaf("toelichtingVerzoek", "Gemaakt door een simulator.", publiceerbaar="true")
    verzoek.leaf("type", spec.type)
    verzoek.leaf("verzoeknummer", spec.verzoeknummer)
    verzoek.leaf("volgnummer", spec.volgnummer)
    project = verzoek.node("project")
    project.leaf("naam", "Verbouwing Nergenshuis", publiceerbaar="true")
    project.leaf("projectId", f"{spec.chance('project').getrandbits(64):016x}")


def _organisations(verzoek: _Writer, spec: VerzoekSpec) -> None:
    _organisation(verzoek.node("bevoegdGezag"), spec, "Gemeente Nergenshuizen", spec.bevoegd_gezag)
    if spec.behandeldienst:
        # DSO-LV may give the OIN for a name here.
        _organisation(verzoek.node("uitvoerendeInstantie"), spec, spec.behandeldienst, spec.behandeldienst)


def _organisation(writer: _Writer, spec: VerzoekSpec, naam: str, oin: str) -> None:
    writer.leaf("naam", naam)
    writer.leaf("oin", oin)
    writer.node("tijdvakGeldigheid").leaf("beginGeldigheid", _moment(spec))


def _initiatiefnemer(initiatiefnemer: _Writer, spec: VerzoekSpec) -> None:
    initiatiefnemer.answer("emailadres", "aanvrager@voorbeeld.example")
    initiatiefnemer.answer("telefoonnummer", "0000000000")
    applicants: tuple[Callable[[_Writer], None], ...] = (_person, _company)
    spec.chance("applicant").choice(applicants)(initiatiefnemer)


def _person(initiatiefnemer: _Writer) -> None:
    person = initiatiefnemer.node("natuurlijkPersoon")
    person.answer("geslachtsnaamNaamgebruik", "Nietbestaand", looked_up="Nietbestaand-Fictief")
    person.answer("voorlettersNaamgebruik", "X.Y.")
    person.leaf("burgerservicenummer", "000000000", publiceerbaar="false")  # nine zeros stand for none
    _address(person.node("verblijfsadres", IC))


def _company(initiatiefnemer: _Writer) -> None:
    company = initiatiefnemer.node("nietNatuurlijkPersoon")
    company.answer("statutaireNaam", "Fictief Bouwbedrijf B.V.")
    company.answer("kvkNummer", "00000000")
    company.answer("handelsnaam", "Fictief Bouw", looked_up="Fictief Bouwbedrijf")
    _address(company.node("bezoekAdres", IC))
    company.node("vestiging", IC).answer("vestigingsnummer", "000000000000")


def _address(address: _Writer) -> None:
    address.answer("huisnummer", "1")
    address.answer("postcode", "0000AA")
    address.answer("straatnaam", "Nergenslaan")
    address.answer("woonplaatsnaam", "Nergenshuizen")


def _places(projectlocaties: _Writer, spec: VerzoekSpec) -> None:
    """One place, twice: as found in ETRS89 (latitude first), and as given in RD (x first)."""
    x, y = spec.place
    east, north = x - 155_000, y - 463_000  # metres from the centre of RD
    locatie = projectlocaties.node("projectlocatie")
    latitude, longitude = 52.15517 + north / 111_200, 5.387206 + east / 68_400
    _point(locatie.node("coordinatenEtrs", IC), "ETRS89", 4258, f"{latitude:.7f} {longitude:.7f}")
    _point(locatie.node("coordinatenOpgegeven"), "RD", 28992, f"{x:.3f} {y:.3f}")


def _point(coordinates: _Writer, system: str, epsg: int, position: str) -> None:
    puntlocatie = coordinates.node("puntlocatie", GML)
    puntlocatie.leaf("pos", position, srsName=f"urn:ogc:def:crs:EPSG::{epsg}")
    coordinates.leaf("referentiestelsel", system)


def _activiteit(activiteit: _Writer, documents: Documents) -> None:
    activiteit.leaf("activiteitId", "nl.imow-sim.activiteit.Verbouwen")
    activiteit.leaf("imowId", "nl.imow-sim.activiteit.Verbouwen")
    activiteit.leaf("activiteitnaam", "Een gebouw verbouwen (simulatie)")
    activiteit.leaf("volgnummer", "1")  # of the activity: not the volgnummer of the verzoek
    specificatie = activiteit.node("specificaties").node("specificatie")
    specificatie.leaf("antwoord", "Een erker van twee bij drie meter.")
    specificatie.leaf("vraagclassificatie", "activiteit")
    specificatie.leaf("vraagId", "vraag-1")
    specificatie.leaf("groepering", "Over het bouwwerk")
    specificatie.leaf("vraagtekst", "Wat gaat u bouwen?")
    specificatie.leaf("publiceerbaar", "true")
    if documents:
        _gevraagde_bijlage(specificatie.node("gevraagdeBijlage"), documents)


def _gevraagde_bijlage(bijlage: _Writer, documents: Documents) -> None:
    bijlage.leaf("documentsoortDSO", "Tekeningen en foto's")
    bijlage.leaf("documenttypeGeneriek", "Tekening")
    bijlage.leaf(
        "potentieelVertrouwelijk", "true" if any(each.vertrouwelijk for each, _ in documents) else "false"
    )
    bijlage.leaf("verplicht", "nee")
    documenten = bijlage.node("documenten")
    for document, document_id in documents:
        element = documenten.node("document")
        element.leaf("bestandsnaam", document.bestandsnaam)
        element.leaf("documentId", document_id)
        element.leaf("vertrouwelijk", "true" if document.vertrouwelijk else "false")
