# SPDX-License-Identifier: EUPL-1.2

"""The verzoeknotificatie (until STAM 3: triggerbericht), the small message that says which verzoek to fetch.

Its schema is not public and its namespace changes with its version, so it is read by local name: a root
from a configurable list, and the first element on one of the configurable paths that carry the verzoeknummer.
Everything else in it is taken when it is there and needed by nothing: what identifies a verzoek is what is fetched,
not what announced it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from adapter.verzoek.elements import child, first_descendant, local_name, text_of
from cpa import XmlRefused, parse_xml

DEFAULT_ROOTS: Final = ("triggerbericht", "verzoeknotificatie", "verzoekNotificatie", "verzoeknotificatieXML")
MAX_NUMBER_LENGTH: Final = 100  # in practice 13 digits; it becomes part of URLs, keys and file names

_TABLE: Final = "[authorities.….notification]"


class NotificationProblem(ValueError):
    """A payload is no readable notification; the message is the reason for the operator."""

    @property
    def reason(self) -> str:
        """What is wrong, and where to look."""
        return str(self)


@dataclass(frozen=True, slots=True)
class NotificationRules:
    """How to recognise and read a notification: its root elements, and where it says what.

    A path is one local name or several with `/` between them (`trigger/verzoeknummer`), and means the first element
    of that name, right below one of the name before it, anywhere in the message. Of several paths the first that
    leads to a text counts. Without paths, `volgnummer`, `doel` and `type` are looked for beside the verzoeknummer,
    and then anywhere.
    """

    roots: tuple[str, ...] = DEFAULT_ROOTS
    verzoeknummer: tuple[str, ...] = ("verzoeknummer",)
    volgnummer: tuple[str, ...] = ()
    doel: tuple[str, ...] = ()
    type: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """What a notification says; only the verzoeknummer is sure to be there. Organisations are given by
    OIN.
    """

    verzoeknummer: str
    volgnummer: str | None = None
    doel: str | None = None
    type: str | None = None
    bevoegd_gezag: str | None = None
    uitvoerende_instantie: str | None = None


def read_notification(payload: bytes, rules: NotificationRules | None = None) -> Notification:
    """Read the payload of a notification message (STAM 4.0 "verzoeknotificatie", STAM 3 "triggerbericht").

    Raises NotificationProblem when it is not XML, has another root, or has no usable verzoeknummer.
    """
    rules = rules or NotificationRules()
    root = _root_of(payload, rules)
    element = _verzoeknummer_in(root, rules)
    return Notification(
        verzoeknummer=_number_in(element),
        volgnummer=_detail(element, root, "volgnummer", rules.volgnummer),
        doel=_detail(element, root, "doel", rules.doel),
        type=_detail(element, root, "type", rules.type),
        bevoegd_gezag=_oin_below(root, "bevoegdGezag"),
        uitvoerende_instantie=_oin_below(root, "uitvoerendeInstantie"),
    )


def announced_volgnummer(payload: bytes, rules: NotificationRules | None = None) -> str | None:
    """The volgnummer that a notification announces; None where it announces none, or is no notification."""
    try:
        return read_notification(payload, rules).volgnummer
    except NotificationProblem:
        return None


def _root_of(payload: bytes, rules: NotificationRules) -> etree._Element:
    try:
        root = parse_xml(payload)
    except XmlRefused as problem:
        raise NotificationProblem(f"the notification is not acceptable XML: {problem}") from problem
    if local_name(root) not in rules.roots:
        raise NotificationProblem(
            f"the payload has root <{local_name(root)[:100]}>, not one of {', '.join(rules.roots)}; if this "
            f"is a notification, add the root to {_TABLE} roots"
        )
    return root


def _verzoeknummer_in(root: etree._Element, rules: NotificationRules) -> etree._Element:
    found = _first_on(root, rules.verzoeknummer)
    if found is None:
        wanted = " or ".join(f"<{path}>" for path in rules.verzoeknummer)
        raise NotificationProblem(
            f"the notification <{local_name(root)}> has no element {wanted}; if the number is in another "
            f"element, give its name, or its path as in trigger/verzoeknummer, in {_TABLE} verzoeknummer"
        )
    return found


def _first_on(root: etree._Element, paths: Sequence[str]) -> etree._Element | None:
    """The element of the first path that leads to a text; else of the first that leads anywhere."""
    found = [element for path in paths if (element := _on_path(root, path)) is not None]
    return next((element for element in found if text_of(element)), next(iter(found), None))


def _on_path(root: etree._Element, path: str) -> etree._Element | None:
    *above, name = path.split("/")
    found = root.iterdescendants(f"{{*}}{name}")
    return next((element for element in found if _is_below(element, above)), None)


def _is_below(element: etree._Element, names: Sequence[str]) -> bool:
    """Whether these are the names of the elements that it stands in, the last one right around it."""
    parent = element.getparent()
    for name in reversed(names):
        if parent is None or local_name(parent) != name:
            return False
        parent = parent.getparent()
    return True


def _number_in(element: etree._Element) -> str:
    number, name = text_of(element), local_name(element)
    if number is None:
        raise NotificationProblem(
            f"the element <{name}> of the notification is empty; if the number is in another element, "
            f"name that in {_TABLE} verzoeknummer"
        )
    if len(number) > MAX_NUMBER_LENGTH:
        raise NotificationProblem(
            f"the <{name}> of the notification has {len(number)} characters, more than {MAX_NUMBER_LENGTH}"
        )
    if not number.isprintable():
        raise NotificationProblem(f"the <{name}> of the notification contains control characters")
    return number


def _detail(number: etree._Element, root: etree._Element, name: str, paths: Sequence[str]) -> str | None:
    text = text_of(_first_on(root, paths)) if paths else _near(number, root, name)
    is_usable = text is not None and len(text) <= MAX_NUMBER_LENGTH and text.isprintable()
    return text if is_usable else None


def _near(number: etree._Element, root: etree._Element, name: str) -> str | None:
    """The sibling of the verzoeknummer with this name, else the first one anywhere.

    The sibling goes first because names such as `volgnummer` occur at several levels of STAM messages.
    """
    beside = text_of(child(number.getparent(), name))
    return beside or text_of(first_descendant(root, name))


def _oin_below(root: etree._Element, organisation: str) -> str | None:
    element = first_descendant(root, organisation)
    return None if element is None else text_of(first_descendant(element, "oin"))
