# SPDX-License-Identifier: EUPL-1.2

"""The rules that hold for all three APIs: problem documents, query parameters, pages, fields."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from adapter.sinks.zgw.options import is_eleven_proof

DATED = (1, 2, 0)

# The filters of the VNG standard; Open Zaak has more, which no sink may depend on.
FILTERS: Mapping[str, frozenset[str]] = {
    "catalogussen": frozenset({"domein", "domein__in", "rsin", "rsin__in"}),
    "zaaktypen": frozenset({"catalogus", "identificatie", "trefwoorden", "status", "datumGeldigheid"}),
    "informatieobjecttypen": frozenset({"catalogus", "omschrijving", "status", "datumGeldigheid"}),
    "statustypen": frozenset({"zaaktype", "status", "datumGeldigheid"}),
    "roltypen": frozenset({"zaaktype", "omschrijvingGeneriek", "status", "datumGeldigheid"}),
    "zaken": frozenset({"identificatie", "bronorganisatie", "zaaktype", "startdatum"}),
    "zaakinformatieobjecten": frozenset({"zaak", "informatieobject"}),
    "rollen": frozenset({"zaak", "betrokkene", "betrokkeneType", "omschrijvingGeneriek", "roltype"}),
    "statussen": frozenset({"zaak", "statustype", "indicatieLaatstGezetteStatus"}),
    "zaakobjecten": frozenset({"zaak", "object"}),
    "enkelvoudiginformatieobjecten": frozenset({"identificatie", "bronorganisatie"}),
}
UNPAGED = frozenset({"zaakinformatieobjecten"})


class Problem(Exception):
    """An answer that is no success."""

    def __init__(
        self, status: int, code: str, title: str, params: Iterable[tuple[str, str, str]] = ()
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.title = title
        self.params = tuple(params)

    def document(self) -> dict[str, Any]:
        """The problem document (RFC 7807, with the fields of the NL API strategy)."""
        base: dict[str, Any] = {
            "type": f"http://localhost/ref/fouten/{self.code}/",
            "code": self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.title,
            "instance": "urn:uuid:00000000-0000-4000-8000-000000000000",
        }
        if self.params:
            named = [{"name": name, "code": code, "reason": reason} for name, code, reason in self.params]
            base["invalidParams"] = named
        return base


def invalid(*params: tuple[str, str, str]) -> Problem:
    """A 400 that says which fields are wrong: their names, codes and reasons."""
    return Problem(400, "invalid", "Ongeldige invoer.", params)


def check_query(resource: str, query: Mapping[str, str], version: tuple[int, ...]) -> None:
    """Refuse a parameter that the resource does not have."""
    known = set(FILTERS[resource]) | (set() if resource in UNPAGED else {"page"})
    if version < DATED:
        known.discard("datumGeldigheid")
    unknown = sorted(set(query) - known)
    if unknown:
        raise invalid(("nonFieldErrors", "unknown-parameters", f"Onbekende query parameters: {unknown}"))


def page_of(found: list[dict[str, Any]], address: str, query: Mapping[str, str], size: int) -> dict[str, Any]:
    """One page of what was found."""
    number = int(query.get("page", "1"))
    start = (number - 1) * size

    def link(to: int) -> str:
        return f"{address}?{urlencode({**query, 'page': to})}"

    return {
        "count": len(found),
        "next": link(number + 1) if start + size < len(found) else None,
        "previous": link(number - 1) if number > 1 else None,
        "results": found[start : start + size],
    }


def required(body: Mapping[str, Any], *names: str) -> None:
    """Refuse a body that lacks one of these."""
    missing = [name for name in names if body.get(name) in {None, ""}]
    if missing:
        raise invalid(*((name, "required", "Dit veld is vereist.") for name in missing))


def bounded(body: Mapping[str, Any], **longest: int) -> None:
    """Refuse texts that are too long."""
    long = [name for name, most in longest.items() if len(body.get(name) or "") > most]
    if long:
        raise invalid(*((name, "max_length", "Dit veld is te lang.") for name in long))


def check_rsin(name: str, number: str) -> None:
    """Refuse what cannot be an RSIN, as Open Zaak does."""
    wrong = []
    if not is_eleven_proof(number):
        wrong.append((name, "invalid", "Onjuist RSIN nummer"))
    if len(number) < 9:
        wrong.append((name, "min_length", "Dit veld moet ten minste 9 karakters bevatten."))
    if wrong:
        raise invalid(*wrong)
