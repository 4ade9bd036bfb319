# SPDX-License-Identifier: EUPL-1.2

"""What a receiver answers in StUF 3.01: a confirmation, a number, or a refusal."""

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from adapter.sinks.soap import is_fault
from adapter.sinks.stuf.names import STUF, ZDS, ZKN

_REASON: Final = 500
_IDENTIFICATIE: Final = 40
_NUMBER = re.compile(r"\d{8,}")
_REFUSALS: Final = frozenset({"Fo02", "Fo03"})


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A Bv03 or Bv04: the receiver has the message. `answered` is the referentienummer that it names, if any."""

    berichtcode: str
    answered: str | None = None
    referentienummer: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Fo02 or Fo03, or a SOAP fault that carries none (`berichtcode` is then None).

    `code` is the StUF code of why. `reason` says it, fit for a log: what looks like a burgerservicenummer is left out
    of what the receiver wrote.
    """

    berichtcode: str | None
    code: str | None
    reason: str


def read_confirmation(element: etree._Element) -> Confirmation | None:
    """The confirmation that an element of a Body is; None where it is none."""
    stuurgegevens = element.find(f"{{{STUF}}}stuurgegevens")
    code = None if stuurgegevens is None else _text(stuurgegevens, "berichtcode")
    if stuurgegevens is None or code is None or element.tag != f"{{{STUF}}}{code}Bericht":
        return None
    if code not in {"Bv03", "Bv04"}:
        return None
    return Confirmation(
        code, _text(stuurgegevens, "crossRefnummer"), _text(stuurgegevens, "referentienummer")
    )


def read_number(element: etree._Element, operation: str, what: str) -> tuple[str, str | None] | None:
    """The identificatie of a new `what` (`zaak` or `document`) in the Du02 of an operation, and the referentienummer
    that it answers; None where the element is no such answer.
    """
    # ZDS 1.2 moved the message to a namespace of its own; receivers of both versions are in use.
    for outer in (ZDS, ZKN):
        if element.tag != f"{{{outer}}}{operation}_Du02":
            continue
        found = _first(element, f"{{{outer}}}{what}", f"{{{ZKN}}}{what}")
        number = None if found is None else (found.findtext(f"{{{ZKN}}}identificatie") or "").strip()
        stuurgegevens = _first(element, f"{{{outer}}}stuurgegevens", f"{{{ZKN}}}stuurgegevens")
        if number and len(number) <= _IDENTIFICATIE and number.isprintable():
            return number, None if stuurgegevens is None else _text(stuurgegevens, "crossRefnummer")
    return None


def read_refusal(element: etree._Element) -> Refusal | None:
    """The refusal that an element of a Body is, in a SOAP fault or by itself; None where it is none."""
    if _is_refusal(element):
        return _refusal(element)
    if not is_fault(element):
        return None
    within = next((one for one in element.iterdescendants("*") if _is_refusal(one)), None)
    if within is not None:
        return _refusal(within)
    said = element.findtext("faultstring") or "".join(
        str(text) for text in element.xpath("*[local-name()='Reason']//text()")
    )
    return Refusal(None, None, f"SOAP fault: {_fit(said) or 'without a reason'}")


def _is_refusal(element: etree._Element) -> bool:
    return element.tag in {f"{{{STUF}}}{code}Bericht" for code in _REFUSALS}


def _refusal(element: etree._Element) -> Refusal:
    body = element.find(f"{{{STUF}}}body")
    name = etree.QName(element).localname.removesuffix("Bericht")
    if body is None:
        return Refusal(name, None, f"{name} without a reason")
    code = _text(body, "code")
    said = (_text(body, "omschrijving"), _text(body, "details"))
    why = _fit(": ".join(text for text in said if text))
    named = _fit(code or "without a code")
    return Refusal(name, code, f"{name} {named}: {why}" if why else f"{name} {named}")


def _fit(text: str) -> str:
    """One line that may be logged: receivers quote what they were sent, with the numbers of people in it."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * _REASON])
    return _NUMBER.sub("(number)", " ".join(line.split()))[:_REASON]


def _first(element: etree._Element, *tags: str) -> etree._Element | None:
    return next((found for tag in tags if (found := element.find(tag)) is not None), None)


def _text(element: etree._Element, name: str) -> str | None:
    return (element.findtext(f"{{{STUF}}}{name}") or "").strip() or None
