"""The verzoeknotificatie (until STAM 3: triggerbericht), the small message that says which verzoek to fetch.

Its schema is not public and its namespace changes with its version, so it is read by local name: a root
from a configurable list, and the first descendant that carries the verzoeknummer. Everything else in it is
taken when it is there and needed by nothing: what identifies a verzoek is what is fetched, not what
announced it.
"""

from dataclasses import dataclass

from lxml import etree

from adapter.verzoek.elements import child, first_descendant, local_name, text_of
from cpa import XmlRefused, parse_xml

DEFAULT_ROOTS = ("triggerbericht", "verzoeknotificatie", "verzoekNotificatie", "verzoeknotificatieXML")
MAX_NUMBER_LENGTH = 100  # in practice 13 digits; it becomes part of URLs, keys and file names


class NotificationProblem(ValueError):
    """A payload is no readable notification; the message is the reason for the operator."""

    @property
    def reason(self) -> str:
        """What is wrong, and where to look."""
        return str(self)


@dataclass(frozen=True, slots=True)
class NotificationRules:
    """How to recognise a notification: accepted root elements and the element that holds the
    verzoeknummer.
    """

    roots: tuple[str, ...] = DEFAULT_ROOTS
    verzoeknummer: str = "verzoeknummer"


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
    element = first_descendant(root, rules.verzoeknummer)
    if element is None:
        raise NotificationProblem(
            f"the notification <{local_name(root)}> has no element <{rules.verzoeknummer}>; if the number "
            "is in another element, name that element in [authorities.….notification] verzoeknummer"
        )
    return Notification(
        verzoeknummer=_number_in(element, rules.verzoeknummer),
        volgnummer=_near(element, root, "volgnummer"),
        doel=_near(element, root, "doel"),
        type=_near(element, root, "type"),
        bevoegd_gezag=_oin_below(root, "bevoegdGezag"),
        uitvoerende_instantie=_oin_below(root, "uitvoerendeInstantie"),
    )


def _root_of(payload: bytes, rules: NotificationRules) -> etree._Element:
    try:
        root = parse_xml(payload)
    except XmlRefused as problem:
        raise NotificationProblem(f"the notification is not acceptable XML: {problem}") from problem
    if local_name(root) not in rules.roots:
        raise NotificationProblem(
            f"the payload has root <{local_name(root)[:100]}>, not one of {', '.join(rules.roots)}; if this "
            "is a notification, add the root to [authorities.….notification] roots"
        )
    return root


def _number_in(element: etree._Element, name: str) -> str:
    number = text_of(element)
    if number is None:
        raise NotificationProblem(f"the element <{name}> of the notification is empty")
    if len(number) > MAX_NUMBER_LENGTH:
        raise NotificationProblem(
            f"the <{name}> of the notification has {len(number)} characters, more than {MAX_NUMBER_LENGTH}"
        )
    if not number.isprintable():
        raise NotificationProblem(f"the <{name}> of the notification contains control characters")
    return number


def _near(number: etree._Element, root: etree._Element, name: str) -> str | None:
    """The sibling of the verzoeknummer with this name, else the first one anywhere.

    The sibling goes first because names such as `volgnummer` occur at several levels of STAM messages.
    """
    beside = text_of(child(number.getparent(), name))
    return beside or text_of(first_descendant(root, name))


def _oin_below(root: etree._Element, organisation: str) -> str | None:
    element = first_descendant(root, organisation)
    return None if element is None else text_of(first_descendant(element, "oin"))
