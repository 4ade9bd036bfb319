# SPDX-License-Identifier: EUPL-1.2

"""A notification is read by local name, and what is none is refused with a reason an operator can use."""

import pytest

from adapter.simulator import VerzoekSpec, make_verzoek, notification_xml
from adapter.verzoek import (
    Notification,
    NotificationProblem,
    NotificationRules,
    announced_volgnummer,
    read_notification,
)

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
    rules = NotificationRules(roots=("bericht",), verzoeknummer=("nummer",))
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


SEVERAL = (
    b"<triggerbericht xmlns:a='urn:a' xmlns:b='urn:b'><a:zender><a:verzoeknummer>1</a:verzoeknummer></a:zender>"
    b"<a:trigger><b:verzoeknummer>2</b:verzoeknummer><b:deel><b:verzoeknummer>3</b:verzoeknummer></b:deel>"
    b"</a:trigger><a:leeg> </a:leeg></triggerbericht>"
)


@pytest.mark.parametrize(
    ("paths", "number"),
    [
        (("verzoeknummer",), "1"),
        (("trigger/verzoeknummer",), "2"),
        (("deel/verzoeknummer",), "3"),
        (("trigger/deel/verzoeknummer",), "3"),
        (("triggerbericht/trigger/verzoeknummer",), "2"),
        (("onbekend", "deel/verzoeknummer", "trigger/verzoeknummer"), "3"),
        (("leeg", "trigger/verzoeknummer"), "2"),
    ],
)
def test_the_number_is_read_on_the_first_path_that_leads_to_one(paths: tuple[str, ...], number: str) -> None:
    assert read_notification(SEVERAL, NotificationRules(verzoeknummer=paths)).verzoeknummer == number


@pytest.mark.parametrize(
    "path", ["ander/trigger/verzoeknummer", "zender/deel/verzoeknummer", "a/triggerbericht/leeg"]
)
def test_a_path_must_fit_step_by_step(path: str) -> None:
    with pytest.raises(NotificationProblem, match=f"no element <{path}>.*in .*notification.* verzoeknummer"):
        read_notification(SEVERAL, NotificationRules(verzoeknummer=(path,)))


def test_volgnummer_doel_and_type_are_read_on_their_own_paths() -> None:
    xml = (
        b"<triggerbericht><verzoeknummer>1</verzoeknummer><volgnummer>9</volgnummer><kop><nr>002</nr>"
        b"<reden>Aanvullen</reden><soort>Melding</soort></kop></triggerbericht>"
    )
    rules = NotificationRules(volgnummer=("kop/nr",), doel=("anders", "kop/reden"), type=("soort",))
    assert read_notification(xml, rules) == Notification("1", "002", "Aanvullen", "Melding")


def test_a_path_that_leads_nowhere_gives_no_volgnummer_and_not_another_one() -> None:
    xml = b"<triggerbericht><verzoeknummer>1</verzoeknummer><volgnummer>9</volgnummer></triggerbericht>"
    assert read_notification(xml, NotificationRules(volgnummer=("kop/nr",))).volgnummer is None


@pytest.mark.parametrize("text", ["1" * 101, "1\n2"])
def test_a_volgnummer_that_cannot_be_one_is_left_out(text: str) -> None:
    xml = f"<triggerbericht><verzoeknummer>1</verzoeknummer><volgnummer>{text}</volgnummer></triggerbericht>"
    assert read_notification(xml.encode()) == Notification("1")


def test_the_announced_volgnummer_is_none_where_none_is_announced() -> None:
    verzoek = make_verzoek(VerzoekSpec(NUMBER, GEMEENTE, volgnummer="003"))
    assert announced_volgnummer(notification_xml(verzoek)) == "003"
    assert announced_volgnummer(b"<triggerbericht><verzoeknummer>1</verzoeknummer></triggerbericht>") is None
    assert announced_volgnummer(b"no notification") is None
