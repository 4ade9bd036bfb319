# SPDX-License-Identifier: EUPL-1.2

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from adapter.simulator import AgreementPlan, World, create_world
from adapter.store import agreement_history
from cpa import Profile

Cli = Callable[..., Result]


def edited(world: World, old: str, new: str) -> Path:
    path = world.directory / "other.xml"
    text = world.authorities[0].cpa_path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_a_sound_cpa_is_checked_with_exit_code_0(cli: Cli, made_once: World) -> None:
    result = cli("cpa", "check", made_once.authorities[0].cpa_path)
    assert result.exit_code == 0
    assert "CRT-15" in result.stdout
    assert "no errors" in result.stderr


def test_production_refuses_what_is_for_tests(cli: Cli, made_once: World) -> None:
    result = cli("cpa", "check", made_once.authorities[0].cpa_path, "--production", "--json")
    assert result.exit_code == 1
    findings = json.loads(result.stdout)["findings"]
    assert ("error", "OIN-06") in {(one["severity"], one["rule"]) for one in findings}
    assert "errors; ask whoever made the CPA" in result.stderr


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_file_that_is_no_cpa_fails(cli: Cli, tmp_path: Path, command: str) -> None:
    file = tmp_path / "no.xml"
    file.write_text("<no/>")
    result = cli("cpa", command, file)
    assert result.exit_code == 1
    assert "this is no CPA" in result.stderr
    assert not result.stdout


def test_a_cpa_is_shown_with_all_that_was_agreed(cli: Cli, made_once: World) -> None:
    authority = made_once.authorities[0]
    shown = json.loads(cli("cpa", "show", authority.cpa_path, "--json").stdout)
    assert (shown["cpaId"], shown["status"], shown["activeNow"]) == (authority.cpa_id, "agreed", True)
    received, sent = shown["actions"]
    assert (received["action"], received["profile"]) == ("verzoeknotificatie", "osb-rm-s")
    assert (received["retries"], received["retryInterval"]) == (8, "PT3H")
    assert received["endpoint"] == made_once.adapter_endpoint
    assert sent["action"] == "bevestiging"
    certificates = {one["id"]: one for party in shown["parties"] for one in party["certificates"]}
    assert certificates[received["signingCertificate"]]["usedFor"] == ["signing"]
    assert {one["oin"] for one in certificates.values()} == {"00000099000000001000", authority.oin}


def test_people_see_the_same_as_machines(cli: Cli, made_once: World) -> None:
    text = cli("cpa", "show", made_once.authorities[0].cpa_path).stdout
    for part in ("osb-rm-s", "PT3H", made_once.adapter_endpoint, "DSO-LV (simulatie)", "not after"):
        assert part in text


def test_a_best_effort_cpa_is_shown_too(cli: Cli, tmp_path: Path) -> None:
    world = create_world(tmp_path, {"a": AgreementPlan(profile=Profile.OSB_BE)})
    shown = json.loads(cli("cpa", "show", world.authorities[0].cpa_path, "--json").stdout)
    assert {(one["profile"], one["retries"], one["signingCertificate"]) for one in shown["actions"]} == {
        ("osb-be", 0, None)
    }


def test_a_cpa_is_added_listed_and_withdrawn(shop) -> None:
    path = shop.world.authorities[0].cpa_path
    assert shop.json("cpa", "list") == []
    assert shop.json("cpa", "add", path, "--authority", "voorbeeldstad")["changed"] is True
    (listed,) = shop.json("cpa", "list")
    assert (listed["cpaId"], listed["authority"], listed["source"]) == (
        shop.cpa_id,
        "voorbeeldstad",
        "upload",
    )
    assert (listed["inForce"], listed["partner"]) == (True, "DSO-LV (simulatie)")
    assert shop.json("cpa", "withdraw", shop.cpa_id) == {
        "cpaId": shop.cpa_id,
        "authority": "voorbeeldstad",
        "changed": True,
    }
    assert shop.json("cpa", "list") == []


def test_adding_the_same_cpa_again_changes_nothing(shop) -> None:
    path = shop.world.authorities[0].cpa_path
    for expected in (True, False):
        assert shop.json("cpa", "add", path, "-a", "voorbeeldstad")["changed"] is expected
    assert len(shop.use(lambda db: db.read(agreement_history, shop.cpa_id))) == 1


def test_a_cpa_that_breaks_a_rule_is_refused_and_added_by_force(shop) -> None:
    # the authority signs with another key than the agreed one
    shop.world.pki.issue("Ander", "00000099999999999000").write(shop.world.directory / "tls", "voorbeeldstad")
    path = shop.world.authorities[0].cpa_path
    refused = shop.run("cpa", "add", path, "-a", "voorbeeldstad")
    assert refused.exit_code == 1
    assert "configure the certificate that stands in the CPA" in refused.stderr
    assert "--force" in refused.stderr
    assert shop.json("cpa", "list") == []
    assert shop.run("cpa", "add", path, "-a", "voorbeeldstad", "--force").exit_code == 0
    assert len(shop.json("cpa", "list")) == 1


def test_a_cpa_of_others_is_refused_even_by_force(shop) -> None:
    path = edited(shop.world, shop.world.authorities[0].oin, "00000099777777777000")
    result = shop.run("cpa", "add", path, "-a", "voorbeeldstad", "--force")
    assert result.exit_code == 1
    assert "give the --authority that is a party" in result.stderr


def test_an_unknown_authority_is_wrong_use(shop) -> None:
    result = shop.run("cpa", "add", shop.world.authorities[0].cpa_path, "-a", "elders")
    assert result.exit_code == 2
    assert "known: voorbeeldstad" in result.stderr


def test_a_cpa_id_of_another_authority_is_refused(cli: Cli, tmp_path: Path) -> None:
    world = create_world(tmp_path, {"een": AgreementPlan(), "twee": AgreementPlan()})
    one, two = world.authorities
    assert cli("db", "migrate", "--config", world.config).exit_code == 0
    assert cli("cpa", "add", one.cpa_path, "-a", "een", "--config", world.config).exit_code == 0
    clash = tmp_path / "clash.xml"
    clash.write_text(two.cpa_path.read_text().replace(two.cpa_id, one.cpa_id))
    result = cli("cpa", "add", clash, "-a", "twee", "--config", world.config)
    assert result.exit_code == 1
    assert "withdraw it there" in result.stderr


def test_withdrawing_what_is_not_in_use_names_what_is(shop) -> None:
    shop.run("cpa", "add", shop.world.authorities[0].cpa_path, "-a", "voorbeeldstad")
    result = shop.run("cpa", "withdraw", "CPA-0")
    assert result.exit_code == 1
    assert f"in use: {shop.cpa_id}" in result.stderr


def test_without_a_database_the_fix_is_named(cli: Cli, made_once: World) -> None:
    result = cli("cpa", "list", "--config", made_once.config, "--json")
    assert result.exit_code == 1
    assert "run `stam-adapter db migrate`" in result.stderr
    assert json.loads(result.stdout).keys() == {"error"}
    assert not (made_once.directory / "var").exists()
