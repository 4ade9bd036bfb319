"""Which of the configured rules a verzoek falls under, and which informatieobjecttype each of its files gets."""

from collections.abc import Iterable, Iterator

from adapter.delivery import HandoverFile, Permanent, StepFailed
from adapter.sinks.zgw.options import InformatieobjecttypenOptions, ZaaktypeRule
from adapter.store import FileKind
from adapter.verzoek import GevraagdeBijlage, Verzoekbericht


def rule_for(verzoek: Verzoekbericht, rules: Iterable[ZaaktypeRule]) -> ZaaktypeRule:
    """The first rule that matches; StepFailed, with what it looked at, where none does."""
    for rule in rules:
        if _matches(rule, verzoek):
            return rule
    activities = ", ".join(sorted(_activities(verzoek))) or "none"
    raise StepFailed(
        Permanent(
            f"no rule of zaaktypen matches type {verzoek.type!r}, doel {verzoek.doel!r}, activiteiten {activities}; "
            "add one, then retry"
        ),
        undone=True,
    )


def informatieobjecttype_for(
    file: HandoverFile, verzoek: Verzoekbericht, types: InformatieobjecttypenOptions
) -> str:
    """The omschrijving of the informatieobjecttype of a file."""
    if file.kind is FileKind.VERZOEK:
        return types.verzoek
    if file.kind is FileKind.PDF:
        return types.pdf
    soorten = {name.casefold(): omschrijving for name, omschrijving in types.soorten.items()}
    for bijlage in _bijlagen(verzoek):
        if any(document.document_id == file.document_id for document in bijlage.documenten):
            for soort in (bijlage.documenttype_generiek, bijlage.documentsoort_dso):
                if soort is not None and soort.casefold() in soorten:
                    return soorten[soort.casefold()]
    return types.document


def _matches(rule: ZaaktypeRule, verzoek: Verzoekbericht) -> bool:
    doel = verzoek.known_doel
    return (
        _among({verzoek.type}, rule.type)
        and (not rule.doel or (doel is not None and doel.value in rule.doel))
        and _among(_activities(verzoek), rule.activiteit)
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
