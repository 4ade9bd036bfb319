# SPDX-License-Identifier: EUPL-1.2

"""Which of the rules of a sink a verzoek falls under, and of which type each of its files is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from adapter.delivery import HandoverFile, Permanent, SinkOptions, StepFailed
from adapter.store import FileKind
from adapter.verzoek import GevraagdeBijlage, Verzoekbericht, known_doel


def _doel(text: str) -> str:
    found = known_doel(text)
    if found is None:
        raise ValueError(f"{text!r} is not a doel; write Initieren, Conceptverzoek, Aanvullen or Intrekken")
    return found.value


def _listed(value: Any) -> Any:
    """One text for a list of one."""
    return (value,) if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1, max_length=100)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed)]
Doelen = Annotated[tuple[Annotated[str, AfterValidator(_doel)], ...], BeforeValidator(_listed)]


class VerzoekRule(SinkOptions):
    """The conditions of a rule; derive from this what becomes of the verzoeken that it matches.

    `type`, `doel` and `activiteit` (imowId or naam of any of its activities) are one text or several, and match all
    when left out.
    """

    type: Texts = ()
    doel: Doelen = ()
    activiteit: Texts = ()

    @property
    def matches_all(self) -> bool:
        """Whether it has no condition."""
        return not (self.type or self.doel or self.activiteit)

    def matches(self, verzoek: Verzoekbericht) -> bool:
        """Whether a verzoek meets every condition."""
        doel = verzoek.known_doel
        return (
            _among({verzoek.type}, self.type)
            and (not self.doel or (doel is not None and doel.value in self.doel))
            and _among(_activities(verzoek), self.activiteit)
        )


class TypesOfFiles(SinkOptions):
    """What the other side calls each kind of file.

    `soorten` has the types of documents by their documenttypeGeneriek or documentsoortDSO; any other is `document`.
    """

    verzoek: Text
    pdf: Text
    document: Text
    soorten: Mapping[str, Text] = {}

    def type_of(self, file: HandoverFile, verzoek: Verzoekbericht) -> str:
        """What a file of a verzoek is called."""
        if file.kind is FileKind.VERZOEK:
            return self.verzoek
        if file.kind is FileKind.PDF:
            return self.pdf
        soorten = {name.casefold(): called for name, called in self.soorten.items()}
        for bijlage in _bijlagen(verzoek):
            if any(document.document_id == file.document_id for document in bijlage.documenten):
                for soort in (bijlage.documenttype_generiek, bijlage.documentsoort_dso):
                    if soort is not None and soort.casefold() in soorten:
                        return soorten[soort.casefold()]
        return self.document


RuleT = TypeVar("RuleT", bound=VerzoekRule)


def check_order(option: str, rules: Sequence[VerzoekRule]) -> None:
    """ValueError where a rule without a condition hides those after it."""
    for number, rule in enumerate(rules):
        if rule.matches_all and number + 1 < len(rules):
            raise ValueError(
                f"{option}[{number}] has no condition, so that those after it never count; make it the last"
            )


def rule_for(verzoek: Verzoekbericht, option: str, rules: Iterable[RuleT]) -> RuleT:
    """The first rule of an option that matches; StepFailed, with what it looked at, where none does."""
    for rule in rules:
        if rule.matches(verzoek):
            return rule
    activities = ", ".join(sorted(_activities(verzoek))) or "none"
    raise StepFailed(
        Permanent(
            f"no rule of {option} matches type {verzoek.type!r}, doel {verzoek.doel!r}, activiteiten {activities}; "
            "add one, then retry"
        ),
        undone=True,
    )


def _among(found: Iterable[str], wanted: tuple[str, ...]) -> bool:
    folded = {text.casefold() for text in found}
    return not wanted or any(text.casefold() in folded for text in wanted)


def _activities(verzoek: Verzoekbericht) -> set[str]:
    names = (name for one in verzoek.projectactiviteiten for name in (one.imow_id, one.activiteitnaam))
    return {name for name in names if name is not None}


def _bijlagen(verzoek: Verzoekbericht) -> Iterator[GevraagdeBijlage]:
    for activiteit in verzoek.projectactiviteiten:
        for specificatie in activiteit.specificaties:
            if specificatie.gevraagde_bijlage is not None:
                yield specificatie.gevraagde_bijlage
    for bijlage in verzoek.verzoek_bijlage:
        if bijlage.gevraagde_bijlage is not None:
            yield bijlage.gevraagde_bijlage
