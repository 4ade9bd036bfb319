# SPDX-License-Identifier: EUPL-1.2

"""What is asked, in a made-up verzoek: activities with their questions and answers, and the documents with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from adapter.simulator.specs import DocumentSpec, VerzoekSpec
from adapter.simulator.writer import Writer

Documents = Sequence[tuple[DocumentSpec, str]]  # with the documentId of each

_ACTIVITIES: Final = ("Verbouwen", "Kappen", "Inrit aanleggen")


@dataclass(frozen=True, slots=True)
class _Question:
    """A question with the answers that may be given to it."""

    text: str
    answers: tuple[str, ...]
    group: str = "Over het bouwwerk"
    classification: str = "activiteit"
    is_public: bool = True


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as it is asked in a verzoek, with the documents that belong to its answer."""

    question: _Question
    vraag_id: str
    answer: str
    documents: Documents = ()


_QUESTIONS: Final = (
    _Question("Wat gaat u doen?", ("Een erker van twee bij drie meter.", "Een dakkapel aan de achterkant.")),
    _Question("Wat zijn de bouwkosten in euro?", ("12500", "85000"), is_public=False),
    _Question("Is er asbest aanwezig?", ("Nee", "Ja", "Weet ik niet"), "Over de plek"),
    _Question("Wanneer begint u?", ("2024-05-01", "Zo snel mogelijk"), "Over het project", "project"),
    _Question("Wie is er verder bereikbaar?", ("De buren",), "Over u", "aanvrager", is_public=False),
)
_KINDS: Final = (
    ("Tekeningen en foto's", "Tekening"),
    ("Foto's van de bestaande toestand", "Foto"),
    ("Berekeningen", "Berekening"),
)


def write_activities(projectactiviteiten: Writer, spec: VerzoekSpec, documents: Documents) -> None:
    """Adds the activities, with the documents dealt out over them."""
    total, ids = spec.number_of_activities, count(1)
    for number in range(total):
        activiteit = projectactiviteiten.node("projectactiviteit")
        _name(activiteit, number)
        activiteit.leaf("volgnummer", str(number + 1))  # of the activity: not the volgnummer of the verzoek
        specificaties = activiteit.node("specificaties")
        for asked in _asked(spec, number, documents[number::total], ids):
            _specificatie(specificaties.node("specificatie"), asked, dict(spec.changed))
        if number:
            _name(activiteit.node("onderliggendeActiviteit"), number - 1)


def write_attachment(verzoek: Writer, documents: Documents, number: int) -> None:
    """Adds documents of the verzoek as a whole."""
    bijlage = verzoek.node("verzoekBijlage")
    bijlage.leaf("vraagreferentie", f"bijlage-{number}")
    _gevraagde_bijlage(bijlage.node("gevraagdeBijlage"), documents)


def _asked(spec: VerzoekSpec, number: int, documents: Documents, ids: Iterator[int]) -> Iterator[_Asked]:
    """The questions of one activity; the first is always asked, and has the documents."""
    chance = spec.chance(f"questions {number}")
    first, *others = _QUESTIONS
    yield _Asked(first, f"vraag-{next(ids)}", chance.choice(first.answers), documents)
    for question in chance.sample(others, chance.randint(0, len(others))):
        yield _Asked(question, f"vraag-{next(ids)}", chance.choice(question.answers))


def _name(activiteit: Writer, number: int) -> None:
    name = _ACTIVITIES[number % len(_ACTIVITIES)]
    key = f"nl.imow-sim.activiteit.{name.replace(' ', '')}"
    activiteit.leaf("activiteitId", key)
    activiteit.leaf("imowId", key)
    activiteit.leaf("activiteitnaam", f"{name} (simulatie)")


def _specificatie(specificatie: Writer, asked: _Asked, changed: dict[str, str]) -> None:
    question, now = asked.question, changed.get(asked.vraag_id)
    specificatie.leaf("antwoord", asked.answer if now is None else now)
    if now is not None:
        specificatie.leaf("oorspronkelijkAntwoord", asked.answer)
    specificatie.leaf("vraagclassificatie", question.classification)
    specificatie.leaf("vraagId", asked.vraag_id)
    specificatie.leaf("vraagreferentie", f"{question.classification}/{asked.vraag_id}")
    specificatie.leaf("groepering", question.group)
    specificatie.leaf("vraagtekst", question.text)
    specificatie.flag("publiceerbaar", is_set=question.is_public)
    if asked.documents:
        _gevraagde_bijlage(specificatie.node("gevraagdeBijlage"), asked.documents)


def _gevraagde_bijlage(bijlage: Writer, documents: Documents) -> None:
    soort, kind = _KINDS[len(documents) % len(_KINDS)]
    bijlage.leaf("documentsoortDSO", soort)
    bijlage.leaf("documenttypeGeneriek", kind)
    bijlage.flag("potentieelVertrouwelijk", is_set=any(each.vertrouwelijk for each, _ in documents))
    bijlage.leaf("verplicht", "nee")
    documenten = bijlage.node("documenten")
    for document, document_id in documents:
        element = documenten.node("document")
        element.leaf("bestandsnaam", document.bestandsnaam)
        element.leaf("documentId", document_id)
        element.flag("vertrouwelijk", is_set=document.vertrouwelijk)
