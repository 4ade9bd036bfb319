# SPDX-License-Identifier: EUPL-1.2

"""Small readers over XML by local name: STAM is read without looking at its namespaces, which carry the
version.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from lxml import etree

from adapter.verzoek.problem import VerzoekberichtProblem

MAX_REPEATS: Final = 10_000
"""Most elements of one name that one element may hold; 80 documents in a verzoek is much in practice."""


def local_name(element: etree._Element) -> str:
    """The name of an element without its namespace; empty for comments and processing instructions."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """The direct children with this local name, in document order."""
    return element.iterchildren(f"{{*}}{name}")


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """Follow a path of local names, taking the first child with each name; None where a step is missing."""
    for name in path:
        if element is None:
            return None
        element = next(children(element, name), None)
    return element


def first_descendant(element: etree._Element, name: str) -> etree._Element | None:
    """The first element below `element`, in document order, with this local name."""
    return next(element.iterdescendants(f"{{*}}{name}"), None)


def text_of(element: etree._Element | None) -> str | None:
    """The stripped text of an element, None where there is none.

    The whole string value is taken and not `.text`, which ends at the first comment: a comment inside a
    number must not shorten it.
    """
    if element is None:
        return None
    text = str(element.xpath("string()")) if len(element) else element.text or ""
    return text.strip() or None


class Fields:
    """The children of one element by local name: looked through once, and asked for by name."""

    __slots__ = ("_children", "line")

    def __init__(self, element: etree._Element) -> None:
        self.line = element.sourceline
        self._children: dict[str, list[etree._Element]] = {}
        for found in element:
            self._children.setdefault(local_name(found), []).append(found)

    def first(self, name: str) -> etree._Element | None:
        """The first child with this name."""
        return next(iter(self._children.get(name, ())), None)

    def all(self, name: str) -> Sequence[etree._Element]:
        """Every child with this name, in document order; raises VerzoekberichtProblem above MAX_REPEATS."""
        found = self._children.get(name, [])
        if len(found) > MAX_REPEATS:
            raise VerzoekberichtProblem(
                f"{len(found)} elements <{name}> stand together (line {self.line}); at most {MAX_REPEATS} are read"
            )
        return found

    def within(self, wrapper: str, name: str) -> Sequence[etree._Element]:
        """Every child with this name of the first child `wrapper`: empty where there is no wrapper."""
        found = self.first(wrapper)
        return () if found is None else Fields(found).all(name)

    def text(self, name: str) -> str | None:
        """The stripped text of the first child with this name, None where it is absent or empty."""
        return text_of(self.first(name))
