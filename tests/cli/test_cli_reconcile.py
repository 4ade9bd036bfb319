# SPDX-License-Identifier: EUPL-1.2

"""`reconcile` asks the simulated DSO-LV over mutual TLS, and has what is missing collected."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from adapter.simulator import SimulatedDso, VerzoekSpec, make_verzoek, verzoeknummer
from adapter.store import Origin, find_deliveries, open_database

AREA = "[150000, 460000, 160000, 468000]"
ELDERS = "00000099000000003000"


def number(sequence: int = 1, day: date | None = None) -> str:
    return verzoeknummer(day or datetime.now(UTC).date(), sequence)


def configure(shop: Any, text: str = f"area = {AREA}") -> None:
    with shop.world.config.open("a") as file:
        file.write(f"\n[authorities.voorbeeldstad.reconcile]\n{text}\n")


def publish(shop: Any, dso: SimulatedDso, sequence: int = 1, **changes: Any) -> str:
    values = {"verzoeknummer": number(sequence), "bevoegd_gezag": shop.world.authorities[0].oin, **changes}
    verzoek = make_verzoek(VerzoekSpec(**values))
    dso.api.publish(verzoek)
    return verzoek.verzoeknummer


def deliveries(shop: Any) -> list[Any]:
    return shop.use(lambda db: db.read(find_deliveries))


def test_what_is_missing_is_fetched_and_the_rest_left_alone(shop: Any, dso: SimulatedDso) -> None:
    configure(shop)
    known = publish(shop, dso, 1)
    shop.delivery(verzoeknummer=known)
    missing = publish(shop, dso, 2)
    publish(shop, dso, 3, bevoegd_gezag=ELDERS)
    result = shop.run("reconcile")
    assert result.exit_code == 0, result.stderr
    head, *lines = (line.split("\t") for line in result.stdout.splitlines())
    assert head[:2] == ["authority", "verzoek"]
    assert [(line[1], line[-1]) for line in lines] == [(known, "waiting"), (missing, "fetched")]
    assert "1 of other organisations left alone" in result.stderr
    assert "as soon as the daemon runs" in result.stderr
    newest = deliveries(shop)[0]
    assert (newest.verzoeknummer, newest.origin, newest.sink) == (missing, Origin.RECONCILIATION, "archief")
    assert ("collect", "ready", newest.id) in shop.jobs()


def test_a_dry_run_shows_and_changes_nothing(shop: Any, dso: SimulatedDso) -> None:
    configure(shop)
    missing = publish(shop, dso)
    shown = shop.json("reconcile", "--authority", "voorbeeldstad", "--dry-run")
    (one,) = shown["authorities"]
    assert shown["dryRun"]
    assert (one["found"], one["missing"], one["fetched"]) == (1, 1, 0)
    (hit,) = one["hits"]
    assert (hit["verzoeknummer"], hit["outcome"], hit["delivery"]) == (missing, "missing", None)
    assert deliveries(shop) == []
    assert shop.jobs() == []


def test_with_json_one_document_goes_to_standard_output(shop: Any, dso: SimulatedDso) -> None:
    configure(shop)
    publish(shop, dso)
    result = shop.run("reconcile", "--json")
    (one,) = json.loads(result.stdout)["authorities"]
    assert (one["authority"], one["problem"], one["fetched"], one["missing"]) == ("voorbeeldstad", None, 1, 0)
    assert one["hits"][0]["delivery"] == deliveries(shop)[0].id


def test_days_and_a_number_narrow_the_question(shop: Any, dso: SimulatedDso) -> None:
    configure(shop)
    old = publish(shop, dso, verzoeknummer=number(1, datetime.now(UTC).date() - timedelta(days=20)))
    publish(shop, dso, 2)
    options = ("reconcile", "--dry-run", "--days", "30", "--verzoeknummer", old)
    (one,) = shop.json(*options)["authorities"]
    assert [hit["verzoeknummer"] for hit in one["hits"]] == [old]
    assert shop.json("reconcile", "--dry-run")["authorities"][0]["found"] == 1


def test_beside_a_daemon_nothing_is_said_of_starting_one(shop: Any, dso: SimulatedDso) -> None:
    configure(shop)
    publish(shop, dso)
    daemon = open_database("sqlite", shop.state, exclusive=True)
    try:
        result = shop.run("reconcile")
    finally:
        shop.use(lambda _: daemon.close())
    assert result.exit_code == 0
    assert "daemon" not in result.stderr


def test_nothing_found_is_said(shop: Any, dso: SimulatedDso) -> None:
    configure(shop)
    result = shop.run("reconcile")
    assert result.exit_code == 0
    assert "no verzoeken of ours found" in result.stderr


def test_a_search_that_fails_ends_with_exit_code_1_and_the_reason(shop: Any, dso: SimulatedDso) -> None:
    configure(shop)
    dso.faults.unavailable = 1
    result = shop.run("reconcile", "--json")
    assert result.exit_code == 1
    assert "HTTP 503" in result.stderr
    assert "HTTP 503" in json.loads(result.stdout)["authorities"][0]["problem"]


@pytest.mark.parametrize("options", [(), ("--authority", "voorbeeldstad")])
def test_without_an_area_the_configuration_is_wrong(shop: Any, options: tuple[str, ...]) -> None:
    result = shop.run("reconcile", *options)
    assert result.exit_code == 78
    assert ".reconcile] with its area" in result.stderr


def test_an_authority_that_is_not_there_is_wrong_use(shop: Any) -> None:
    configure(shop)
    result = shop.run("reconcile", "--authority", "elders")
    assert result.exit_code == 2
    assert "known: voorbeeldstad" in result.stderr


def test_no_days_are_wrong_use(shop: Any) -> None:
    assert shop.run("reconcile", "--days", "0").exit_code == 2


def test_days_of_which_the_store_remembers_nothing_are_wrong_use(shop: Any) -> None:
    configure(shop)
    with shop.world.config.open("a") as file:
        file.write('\n[authorities.voorbeeldstad.retention]\npayloads = "10d"\nmessages = "10d"\n')
    result = shop.run("reconcile", "--days", "10")
    assert result.exit_code == 2
    assert "would be collected again" in result.stderr
