# SPDX-License-Identifier: EUPL-1.2

"""Reading one element of a CPA: children, attributes and simple types, with errors that say where.

All white space handling is here: the simple types derived from xs:token collapse it (CPA-18), strings that
are compared exactly (PartyId, Service, Action) keep it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from lxml import etree

from cpa.errors import CpaError
from cpa.names import CPPA, XLINK
from cpa.times import parse_datetime, parse_duration

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

ID_ATTRIBUTES = {
    "Certificate": "certId",
    "SecurityDetails": "securityId",
    "DeliveryChannel": "channelId",
    "Transport": "transportId",
    "DocExchange": "docExchangeId",
    "ThisPartyActionBinding": "id",
    "SimplePart": "id",
    "Packaging": "id",
    "Composite": "id",
    "Encapsulation": "id",
}
"""The elements that carry an xs:ID, and in which attribute."""

# Longer than any agreement lives, and short enough to be added to a date without overflow.
_MAX_DURATION = timedelta(days=36525)
_XML_SPACE = " \t\r\n"
_XML_SPACES = re.compile(r"[ \t\r\n]+")


def collapse(text: str) -> str:
    """White space as xs:token has it: single blanks between words, none around them."""
    return _XML_SPACES.sub(" ", text).strip(" ")


@dataclass(frozen=True, slots=True)
class Reader:
    """An element of a CPA, read by names in the CPPA namespace."""

    element: etree._Element

    @property
    def name(self) -> str:
        """The local name."""
        return etree.QName(self.element).localname

    @property
    def id(self) -> str | None:
        """The xs:ID of the element, where its kind has one."""
        attribute = ID_ATTRIBUTES.get(self.name)
        value = self.element.get(f"{{{CPPA}}}{attribute}") if attribute else None
        return None if value is None else collapse(value)

    def error(self, problem: str) -> CpaError:
        """An error about this element: its name, its id (or that of what it is in) and its line."""
        label, parent = self.name, self.element.getparent()
        if self.id is not None:
            label += f" {self.id!r}"
        while self.id is None and parent is not None:
            owner = Reader(parent)
            if owner.id is not None:
                label += f" in {owner.name} {owner.id!r}"
                break
            parent = parent.getparent()
        return CpaError(f"{label} (line {self.element.sourceline}): {problem}")

    def children(self, name: str, namespace: str = CPPA) -> Iterator["Reader"]:
        """The children of this name, in document order."""
        for child in self.element.iterchildren(f"{{{namespace}}}{name}"):
            yield Reader(child)

    def optional(self, name: str, namespace: str = CPPA) -> "Reader | None":
        """The only child of this name, if there is one; a second one is refused."""
        found = list(self.children(name, namespace))
        if len(found) > 1:
            raise found[1].error(f"occurs {len(found)} times in {self.name}; at most one is allowed")
        return found[0] if found else None

    def required(self, name: str, namespace: str = CPPA) -> "Reader":
        """The only child of this name."""
        found = self.optional(name, namespace)
        if found is None:
            raise self.error(f"the element {name} is missing")
        return found

    def several(self, name: str) -> tuple["Reader", ...]:
        """The children of this name, of which there is at least one."""
        found = tuple(self.children(name))
        if not found:
            raise self.error(f"the element {name} is missing; at least one is needed")
        return found

    @property
    def text(self) -> str:
        """The text of the element as it stands, comments left out."""
        return str(self.element.xpath("string()"))

    @property
    def token(self) -> str:
        """The text with white space collapsed."""
        return collapse(self.text)

    def non_empty(self) -> str:
        """The text as it stands, which may not be empty or blank."""
        if not self.text.strip(_XML_SPACE):
            raise self.error("the text is empty")
        return self.text

    def attribute(self, name: str, namespace: str = CPPA) -> str | None:
        """An attribute as it stands."""
        return self.element.get(f"{{{namespace}}}{name}")

    def required_attribute(self, name: str) -> str:
        """An attribute that is present and not empty."""
        value = self.attribute(name)
        if value is None and self.element.get(name) is not None:
            raise self.error(f"the attribute {name} has no namespace; write cpa:{name}")
        if value is None:
            raise self.error(f"the attribute {name} is missing")
        if not value:
            raise self.error(f"the attribute {name} is empty")
        return value

    def token_attribute(self, name: str) -> str | None:
        """An attribute with white space collapsed."""
        value = self.attribute(name)
        return None if value is None else collapse(value)

    def xlink(self, name: str) -> str | None:
        """An attribute of XLink."""
        return self.attribute(name, XLINK)

    def required_id(self) -> str:
        """The xs:ID that this kind of element must have."""
        value = collapse(self.required_attribute(ID_ATTRIBUTES[self.name]))
        if not value:
            raise self.error("the id is empty")
        return value

    def choice(self, kind: type[E], value: str, what: str) -> E:
        """A value of an enumeration."""
        try:
            return kind(collapse(value))
        except ValueError as error:
            allowed = ", ".join(kind)
            raise self.error(f"{what} is {value!r}; allowed are {allowed}") from error

    def choice_attribute(self, kind: type[E], name: str) -> E | None:
        """An attribute with a value of an enumeration."""
        value = self.attribute(name)
        return None if value is None else self.choice(kind, value, name)

    def boolean_attribute(self, name: str) -> bool | None:
        """An xs:boolean."""
        value = self.token_attribute(name)
        if value is None:
            return None
        if value not in {"true", "false", "1", "0"}:
            raise self.error(f"{name} is {value!r}; allowed are true, false, 1, 0")
        return value in {"true", "1"}

    def integer_attribute(self, name: str) -> int | None:
        """An xs:integer, not negative."""
        value = self.attribute(name)
        return None if value is None else self.convert(_count, value, name)

    def integer(self) -> int:
        """The text as an xs:integer, not negative."""
        return self.convert(_count, self.text, "the text")

    def duration_attribute(self, name: str) -> timedelta | None:
        """An xs:duration, not negative."""
        value = self.attribute(name)
        return None if value is None else self.convert(_span, value, name)

    def duration(self) -> timedelta:
        """The text as an xs:duration, not negative."""
        return self.convert(_span, self.text, "the text")

    def moment(self) -> datetime:
        """The text as an xs:dateTime."""
        return self.convert(parse_datetime, self.text, "the text")

    def convert(self, conversion: Callable[[str], T], value: str, what: str) -> T:
        """Convert a value; its ValueError becomes an error about this element."""
        try:
            return conversion(value)
        except ValueError as error:
            raise self.error(f"{what}: {error}") from error


def _count(text: str) -> int:
    text = collapse(text)
    if not re.fullmatch(r"\+?\d{1,9}", text, re.ASCII):
        raise ValueError(f"{text!r} is not a whole number of 0 or more, in at most 9 digits")
    return int(text)


def _span(text: str) -> timedelta:
    length = parse_duration(collapse(text))
    if length < timedelta() or length > _MAX_DURATION:
        raise ValueError(f"{text!r} is not a duration between 0 and 100 years")
    return length
