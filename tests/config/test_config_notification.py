# SPDX-License-Identifier: EUPL-1.2

"""The shape of a notification is configured by names and paths of elements."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from pydantic import ValidationError

from adapter.config import Config
from adapter.config.authority import NotificationConfig
from adapter.verzoek import NotificationRules, read_notification

Load = Callable[..., Config]


def rules(**values: object) -> NotificationRules:
    return NotificationConfig.model_validate(values).rules


def test_without_configuration_the_rules_are_the_usual_ones() -> None:
    assert rules() == NotificationRules()


def test_one_path_and_a_list_of_paths_are_read() -> None:
    read = rules(
        verzoeknummer="trigger/verzoeknummer", volgnummer=["a/nr", "nr"], doel="doel", type=["soort"]
    )
    usual = NotificationRules()
    assert read == replace(
        usual,
        verzoeknummer=("trigger/verzoeknummer",),
        volgnummer=("a/nr", "nr"),
        doel=("doel",),
        type=("soort",),
    )


def test_a_configured_notification_is_read() -> None:
    xml = b"<melding><kop><id>7</id><nr>001</nr></kop></melding>"
    found = read_notification(
        xml, rules(roots=["melding"], verzoeknummer=["x", "kop/id"], volgnummer="kop/nr")
    )
    assert (found.verzoeknummer, found.volgnummer) == ("7", "001")


@pytest.mark.parametrize(
    "path",
    ["", "/", "a//b", "/a", "a/", "stam:verzoeknummer", "@nummer", "1a", "a b", "//verzoeknummer", "a[1]"],
)
@pytest.mark.parametrize("key", ["verzoeknummer", "volgnummer", "doel", "type"])
def test_what_is_no_path_of_names_is_refused_with_an_example(key: str, path: str) -> None:
    for value in (path, [path]):
        with pytest.raises(ValidationError, match='"trigger/verzoeknummer"'):
            rules(**{key: value})


@pytest.mark.parametrize("root", ["stam:verzoeknotificatie", "a/b", ""])
def test_a_root_is_one_name(root: str) -> None:
    with pytest.raises(ValidationError, match="without a prefix"):
        rules(roots=[root])


def test_there_is_a_root_and_a_place_for_the_number() -> None:
    for key in ("roots", "verzoeknummer"):
        with pytest.raises(ValidationError):
            rules(**{key: []})
