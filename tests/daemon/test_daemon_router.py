# SPDX-License-Identifier: EUPL-1.2

"""Which sink a verzoek goes to, once its content is known."""

from datetime import UTC, datetime
from typing import Any

import pytest

from adapter.authorities import Authority
from adapter.config import Config
from adapter.daemon.router import sink_of
from adapter.store import DeliveryState, Flow, Origin, StoredDelivery, VerzoekFacts

OURS = "00000099000000001000"
THEIRS = "00000099000000002000"
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def authority(*routes: dict[str, Any]) -> Authority:
    table = {
        "party": f"urn:osb:oin:{OURS}",
        "certificate": "a.pem",
        "key": "a.key",
        "dso": {"url": "https://dso.example"},
        "routes": [{"flow": "stam", **route} for route in routes],
    }
    config = Config.model_validate({"environment": "test", "authorities": {"stad": table}})
    return Authority("stad", config.authorities["stad"], None)  # type: ignore[arg-type]  # keys are not asked for


def delivery(**changes: Any) -> StoredDelivery:
    nothing = dict.fromkeys(StoredDelivery.__dataclass_fields__)
    known = {
        "id": 1,
        "authority": "stad",
        "sink": "first",
        "flow": Flow.STAM,
        "origin": Origin.NOTIFICATION,
        "verzoeknummer": "2023073100048",
        "state": DeliveryState.COLLECTING,
        "service": "dso",
        "action": "verzoek",
        "created_at": NOW,
    }
    return StoredDelivery(**(nothing | known | changes))  # type: ignore[arg-type]  # what is not asked for is None


def facts(**changes: Any) -> VerzoekFacts:
    return VerzoekFacts("000", **({"doel": "Initieren", "type": "Melding", "bevoegd_gezag": OURS} | changes))


ROUTES = (
    {"sink": "concept", "doel": ["Conceptverzoek"]},
    {"sink": "copies", "copies": True},
    {"sink": "unusual", "type": ["Informatie ongewoon voorval"]},
    {"sink": "theirs", "bevoegd_gezag": [THEIRS]},
    {"sink": "rest"},
)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, "rest"),
        ({"doel": "Conceptverzoek"}, "concept"),
        ({"doel": "Vooroverleg"}, "concept"),  # as STAM 3 called it
        ({"is_copy": True, "uitvoerende_instantie": THEIRS}, "copies"),
        ({"type": "Informatie ongewoon voorval"}, "unusual"),
        ({"bevoegd_gezag": THEIRS}, "theirs"),
        ({"doel": "Conceptverzoek", "is_copy": True}, "concept"),  # the first that takes it
    ],
)
def test_the_first_route_that_takes_the_verzoek_decides(known: dict[str, Any], expected: str) -> None:
    assert sink_of(authority(*ROUTES), delivery(), facts(**known)) == expected


def test_a_behandeldienst_can_be_asked_for() -> None:
    routes = ({"sink": "dienst", "behandeldienst": [THEIRS]}, {"sink": "rest"})
    assert sink_of(authority(*routes), delivery(), facts(uitvoerende_instantie=THEIRS)) == "dienst"
    assert sink_of(authority(*routes), delivery(), facts()) == "rest"


def test_only_routes_for_its_message_count() -> None:
    routes = ({"sink": "other", "action": "something"}, {"sink": "rest", "service": "dso"})
    assert sink_of(authority(*routes), delivery(), facts()) == "rest"


def test_what_no_route_takes_has_no_sink() -> None:
    assert sink_of(authority({"sink": "copies", "copies": True}), delivery(), facts()) is None


@pytest.mark.parametrize("origin", [Origin.RECONCILIATION, Origin.OPERATOR])
def test_what_was_ordered_for_another_sink_goes_there(origin: Origin) -> None:
    ordered = delivery(origin=origin, sink="elsewhere", service=None, action=None)
    assert sink_of(authority(*ROUTES), ordered, facts()) == "elsewhere"


@pytest.mark.parametrize("origin", [Origin.RECONCILIATION, Origin.OPERATOR])
def test_what_was_ordered_for_the_usual_sink_goes_by_the_routes(origin: Origin) -> None:
    ordered = delivery(origin=origin, sink="concept", service=None, action=None)
    assert sink_of(authority(*ROUTES), ordered, facts()) == "rest"


def test_an_authority_that_is_gone_changes_nothing() -> None:
    assert sink_of(None, delivery(), facts()) == "first"
