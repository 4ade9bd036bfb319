# SPDX-License-Identifier: EUPL-1.2

"""The XML of made-up verzoeken: verzoekbericht and verzoeknotificatie, with persons and places that do not
exist.

The order of the elements is the order of the STAM 4.0 schema and is normative. The schema of the
notification is not public; the one made here has the shape its receivers describe, in a namespace of the
same family.
"""

from datetime import timedelta
from typing import Final

from lxml import etree

from adapter.simulator.applicants import write_applicants
from adapter.simulator.locations import write_locations
from adapter.simulator.questions import Documents, write_activities, write_attachment
from adapter.simulator.specs import VerzoekSpec
from adapter.simulator.writer import FAMILY, GML, IC, IMAM, VX, Writer

NOTIFICATION: Final = f"{FAMILY}stam-v2/verzoeknotificatie"

DSO_OIN: Final = "00000099000000004000"  # an OIN of the test series, for the party that does not exist


def verzoekbericht(spec: VerzoekSpec, documents: Documents) -> bytes:
    """The verzoekbericht of a specification.

    Documents are named in both places of the schema, and the first of them in both: receivers have to fold
    it.
    """
    root = etree.Element(
        f"{{{IMAM}}}verzoekXML", {"version": "4.0.0"}, {None: IMAM, "vx": VX, "ic": IC, "gml": GML}
    )
    _stuurgegevens(Writer(root, IMAM), spec)
    verzoek = Writer(etree.SubElement(root, f"{{{IMAM}}}verzoek"), VX)
    _head(verzoek, spec)
    _organisations(verzoek, spec)
    write_applicants(verzoek, spec)
    write_locations(verzoek.node("projectlocaties"), spec)
    write_activities(verzoek.node("projectactiviteiten"), spec, documents[:-1] or documents)
    _participation(verzoek.node("participatie"), spec)
    for number, document in enumerate(dict.fromkeys((*documents[-1:], *documents[:1])), start=1):
        write_attachment(verzoek, (document,), number)
    return _serialized(root)


def notification(spec: VerzoekSpec) -> bytes:
    """The verzoeknotificatie of a specification."""
    root = etree.Element(f"{{{NOTIFICATION}}}verzoeknotificatie", None, {None: NOTIFICATION})
    writer = Writer(root, NOTIFICATION)
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


def _stuurgegevens(root: Writer, spec: VerzoekSpec) -> None:
    stuurgegevens = root.node("stuurgegevens")
    zender = stuurgegevens.node("zender")
    zender.leaf("organisatie", DSO_OIN)
    zender.leaf("applicatie", "DSO-LV (simulator)")
    ontvanger = stuurgegevens.node("ontvanger")
    ontvanger.leaf("organisatie", spec.behandeldienst or spec.bevoegd_gezag)
    ontvanger.leaf("applicatie", "onbekend")
    stuurgegevens.leaf("referentienummer", f"{spec.verzoeknummer}-{spec.volgnummer}")
    stuurgegevens.leaf("tijdstipBericht", _moment(spec, timedelta(minutes=2)))


def _head(verzoek: Writer, spec: VerzoekSpec) -> None:
    verzoek.leaf("akkoordverklaring", "true")
    verzoek.leaf("ambtshalve", "false")
    verzoek.leaf("doel", spec.doel)
    verzoek.leaf("indienDatum", _moment(spec))
    verzoek.text("naam", spec.naam or f"Simulatie {spec.type.lower()} {spec.verzoeknummer}")
    verzoek.text("referentieAanvrager", f"sim-{spec.seed}", public=False)
    if spec.chance("later").random() < 0.3:
        verzoek.text("toelichtingLaterAanTeLeverenInformatie", "De constructieberekening volgt.")
        verzoek.text("toelichtingNietAanTeLeverenInformatie", "Een bodemonderzoek is niet nodig.")
    verzoek.text("toelichtingVerzoek", "Gemaakt door een simulator.")
    verzoek.leaf("type", spec.type)
    verzoek.leaf("verzoeknummer", spec.verzoeknummer)
    verzoek.leaf("volgnummer", spec.volgnummer)
    project = verzoek.node("project")
    project.text("naam", "Verbouwing Nergenshuis")
    project.text("omschrijving", "Een huis dat niet bestaat wordt verbouwd.")
    project.leaf("projectId", spec.project_id)


def _organisations(verzoek: Writer, spec: VerzoekSpec) -> None:
    _organisation(verzoek.node("bevoegdGezag"), spec, "Gemeente Nergenshuizen", spec.bevoegd_gezag)
    if spec.behandeldienst:
        # DSO-LV may give the OIN for a name here.
        _organisation(verzoek.node("uitvoerendeInstantie"), spec, spec.behandeldienst, spec.behandeldienst)


def _organisation(writer: Writer, spec: VerzoekSpec, naam: str, oin: str) -> None:
    writer.leaf("naam", naam)
    writer.leaf("oin", oin)
    writer.node("tijdvakGeldigheid").leaf("beginGeldigheid", _moment(spec))


def _participation(participatie: Writer, spec: VerzoekSpec) -> None:
    is_held = spec.chance("participation").random() < 0.5
    participatie.text("geparticipeerd", "true" if is_held else "false")
    if is_held:
        participatie.text("participatieWijze", "Een gesprek met de buren.")
        participatie.text("participatieResultaat", "Er zijn geen bezwaren.", public=False)
