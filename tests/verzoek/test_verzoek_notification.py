"""A notification is read by local name, and what is none is refused with a reason an operator can use."""

import pytest

from adapter.simulator import VerzoekSpec, make_verzoek, notification_xml
from adapter.verzoek import Notification, NotificationProblem, NotificationRules, read_notification

NUMBER = "2023073100048"
GEMEENTE = "00000099000000001000"
DIENST = "00000099000000002000"


def test_a_notification_of_the_simulator_is_read_completely() -> None:
    verzoek = make_verzoek(VerzoekSpec(NUMBER, GEMEENTE, volgnummer="001", behandeldienst=DIENST))
    assert read_notification(notification_xml(verzoek)) == Notification(
        NUMBER, "001", "Initieren", "Aanvraag vergunning", GEMEENTE, DIENST
    )


@pytest.mark.parametrize(
    "root", ["triggerbericht", "verzoeknotificatie", "verzoekNotificatie", "verzoeknotificatieXML"]
)
@pytest.mark.parametrize("namespace", ["", "http://www.omgevingswet.nl/koppelvlak/stam-v9/x", "urn:anders"])
def test_every_known_root_is_read_in_any_namespace(root: str, namespace: str) -> None:
    xml = f'<{root} xmlns="{namespace}"><trigger><verzoeknummer>{NUMBER}</verzoeknummer></trigger></{root}>'
    assert read_notification(xml.encode()) == Notification(NUMBER)


def test_another_root_is_refused_and_named() -> None:
    with pytest.raises(NotificationProblem, match=r"<factuur>.*roots"):
        read_notification(f"<factuur><verzoeknummer>{NUMBER}</verzoeknummer></factuur>".encode())


def test_roots_and_the_element_of_the_number_are_configurable() -> None:
    rules = NotificationRules(roots=("bericht",), verzoeknummer="nummer")
    assert read_notification(b"<bericht><nummer>7</nummer></bericht>", rules).verzoeknummer == "7"


def test_the_first_verzoeknummer_counts() -> None:
    xml = b"<triggerbericht><verzoeknummer>1</verzoeknummer><verzoeknummer>2</verzoeknummer></triggerbericht>"
    assert read_notification(xml).verzoeknummer == "1"


def test_the_volgnummer_beside_the_verzoeknummer_wins_over_one_of_an_activity() -> None:
    xml = (
        b"<verzoeknotificatie><activiteit><volgnummer>1</volgnummer></activiteit>"
        b"<verzoek><volgnummer>002</volgnummer><verzoeknummer>5</verzoeknummer></verzoek></verzoeknotificatie>"
    )
    assert read_notification(xml).volgnummer == "002"


def test_a_comment_does_not_shorten_the_number() -> None:
    xml = b"<triggerbericht><verzoeknummer>20230731<!-- x -->00048</verzoeknummer></triggerbericht>"
    assert read_notification(xml).verzoeknummer == NUMBER


def test_white_space_around_the_number_is_ignored() -> None:
    xml = f"<triggerbericht><verzoeknummer>\n  {NUMBER}\n</verzoeknummer></triggerbericht>"
    assert read_notification(xml.encode()).verzoeknummer == NUMBER


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<triggerbericht/>", "no element <verzoeknummer>"),
        ("<triggerbericht><verzoeknummer> </verzoeknummer></triggerbericht>", "empty"),
        (f"<triggerbericht><verzoeknummer>{'1' * 101}</verzoeknummer></triggerbericht>", "101 characters"),
        ("<triggerbericht><verzoeknummer>1\n2</verzoeknummer></triggerbericht>", "control characters"),
        ("<triggerbericht><verzoeknummer>1", "not acceptable XML"),
        ("", "not acceptable XML"),
        ("{}", "not acceptable XML"),
    ],
)
def test_a_notification_without_a_usable_number_is_refused(xml: str, reason: str) -> None:
    with pytest.raises(NotificationProblem, match=reason):
        read_notification(xml.encode())


def test_an_entity_attack_is_refused() -> None:
    xml = (
        b'<!DOCTYPE triggerbericht [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        b"<triggerbericht><verzoeknummer>&x;</verzoeknummer></triggerbericht>"
    )
    with pytest.raises(NotificationProblem, match="DTD"):
        read_notification(xml)
