"""Small readers over XML by local name: STAM is read without looking at its namespaces, which carry the
version.
"""

from collections.abc import Iterator

from lxml import etree


def local_name(element: etree._Element) -> str:
    """The name of an element without its namespace; empty for comments and processing instructions."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """The direct children with this local name, in document order."""
    return (child for child in element if local_name(child) == name)


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """Follow a path of local names, taking the first child with each name; None where a step is missing."""
    for name in path:
        if element is None:
            return None
        element = next(children(element, name), None)
    return element


def first_descendant(element: etree._Element, name: str) -> etree._Element | None:
    """The first element below `element`, in document order, with this local name."""
    return next((found for found in element.iterdescendants() if local_name(found) == name), None)


def text_of(element: etree._Element | None) -> str | None:
    """The stripped text of an element, None where there is none.

    The whole string value is taken and not `.text`, which ends at the first comment: a comment inside a
    number must not shorten it.
    """
    if element is None:
        return None
    return str(element.xpath("string()")).strip() or None


def text_at(element: etree._Element, *path: str) -> str | None:
    """The stripped text at an exact path of local names, None where it is absent or empty."""
    return text_of(child(element, *path))
