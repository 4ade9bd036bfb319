# SPDX-License-Identifier: EUPL-1.2

"""`cpa publish` offers a CPA to the simulated DSO-LV over mutual TLS, and keeps what came of it."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from adapter.pki import ThrowawayPki
from adapter.simulator import SimulatedDso
from adapter.store import events_for

NAME = "voorbeeldstad"
TABLE = f"[authorities.{NAME}.publish]"
PRODUCTION = "https://pkio.service.omgevingswet.overheid.nl/ebms"


def configure(shop: Any, *options: str) -> None:
    """Add options to the table `publish` of the world."""
    text = shop.world.config.read_text()
    assert TABLE in text
    shop.world.config.write_text(text.replace(TABLE, "\n".join((TABLE, *options))))


def edited(shop: Any, old: str, new: str) -> Path:
    path = shop.world.directory / "other.xml"
    text = shop.world.authorities[0].cpa_path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def offer(shop: Any, *more: object, source: object = None) -> Any:
    return shop.run("cpa", "publish", source or shop.world.authorities[0].cpa_path, "-a", NAME, *more)


def page(shop: Any) -> str:
    return (shop.state / "evidence" / f"{NAME}-test-2-publish.html").read_text()


def actions(shop: Any) -> list[str]:
    return [event.action for event in shop.use(lambda db: db.read(events_for, cpa_id=shop.cpa_id))]


def test_a_cpa_that_dso_lv_takes_is_published_with_evidence(shop: Any, dso: SimulatedDso) -> None:
    result = offer(shop)
    assert result.exit_code == 0, result.stderr
    assert "is published" in result.stdout
    assert dso.api.cpas.cpas == {shop.cpa_id: shop.world.authorities[0].cpa_path.read_bytes()}
    assert [request.oin for request in dso.api.requests] == [shop.world.authorities[0].oin]
    assert "aangenomen" in page(shop)
    assert actions(shop) == ["agreement.published"]
    assert f"{{&#34;cpaId&#34;: &#34;{shop.cpa_id}&#34;}}" in page(shop)
    assert "Content-Type: application/json" in page(shop)


def test_a_cpa_in_use_is_published_by_its_id(shop: Any, dso: SimulatedDso) -> None:
    assert shop.run("cpa", "add", shop.world.authorities[0].cpa_path, "-a", NAME).exit_code == 0
    assert offer(shop, source=shop.cpa_id).exit_code == 0
    assert shop.cpa_id in dso.api.cpas.cpas


def test_what_is_neither_a_file_nor_in_use_is_refused_with_what_is(shop: Any) -> None:
    result = offer(shop, source="CPA-9")
    assert result.exit_code == 1
    assert "CPA-9 is no file, and no agreement of voorbeeldstad in use; in use: none" in result.stderr


def test_a_cpa_that_is_there_already_is_said_to_be_there(shop: Any, dso: SimulatedDso) -> None:
    offer(shop)
    result = offer(shop, "--json")
    assert result.exit_code == 0, result.stderr
    shown = json.loads(result.stdout)
    assert (shown["reception"], shown["status"]) == ("present", 409)
    assert "was er al" in page(shop)


@pytest.mark.parametrize("body", ["xml", "multipart", "json"])
def test_a_cpa_goes_in_each_form_of_body(shop: Any, dso: SimulatedDso, body: str) -> None:
    configure(shop, f'body = "{body}"')
    result = offer(shop)
    assert result.exit_code == 0, result.stderr
    assert dso.api.cpas.cpas == {shop.cpa_id: shop.world.authorities[0].cpa_path.read_bytes()}


def test_the_path_can_name_the_cpa(shop: Any, dso: SimulatedDso) -> None:
    configure(shop, 'method = "PUT"', 'path = "/cpas/{cpa_id}"')
    assert offer(shop).exit_code == 0
    (request,) = dso.api.requests
    assert (request.method, request.path.rpartition("/")[2]) == ("PUT", shop.cpa_id)


def test_a_refusal_is_shown_with_its_problem_document(shop: Any, dso: SimulatedDso) -> None:
    dso.api.cpas.refusal = (HTTPStatus.UNPROCESSABLE_ENTITY, "De CPA past niet bij de registratie.")
    result = offer(shop)
    assert result.exit_code == 1
    assert "HTTP 422" in result.stderr
    assert "De CPA past niet bij de registratie." in result.stderr
    assert "correct the CPA" in result.stderr
    assert "De CPA past niet bij de registratie." in page(shop)
    assert actions(shop) == ["agreement.not_published"]


def test_evidence_of_success_is_kept_when_a_later_publication_fails(shop: Any, dso: SimulatedDso) -> None:
    offer(shop)
    before = page(shop)
    dso.api.cpas.refusal = (HTTPStatus.UNPROCESSABLE_ENTITY, "Nee.")
    assert offer(shop).exit_code == 1
    (kept,) = (shop.state / "evidence" / "earlier").iterdir()
    assert kept.read_text() == before
    assert "niet gelukt" in page(shop)


def test_maintenance_fails_with_what_to_do_and_goes_well_later(shop: Any, dso: SimulatedDso) -> None:
    dso.faults.unavailable = 1
    result = offer(shop)
    assert result.exit_code == 1
    assert "HTTP 503" in result.stderr
    assert "Nothing is left half" in result.stderr
    assert offer(shop).exit_code == 0


def test_a_server_that_is_not_there_fails_with_what_to_do(shop: Any) -> None:
    result = offer(shop)
    assert result.exit_code == 1
    assert "no connection" in result.stderr
    assert "Check address, network, proxy and certificates" in result.stderr
    assert "no connection" in page(shop)


def test_a_certificate_of_an_unknown_root_is_refused_by_dso_lv(shop: Any, dso: SimulatedDso) -> None:
    foreign = ThrowawayPki(datetime.now(UTC)).issue("Vreemd", shop.world.authorities[0].oin)
    foreign.write(shop.world.directory / "tls", "vreemd")
    configure(shop, 'certificate = "tls/vreemd.pem"', 'key = "tls/vreemd.key"')
    result = offer(shop)
    assert result.exit_code == 1
    assert "proxy and certificates" in result.stderr
    assert dso.api.requests == []


def test_an_oin_that_is_not_on_the_whitelist_of_the_certificate_is_refused(
    shop: Any, dso: SimulatedDso
) -> None:
    supplier = shop.world.pki.issue("Leverancier", "00000099000000007000")
    supplier.write(shop.world.directory / "tls", "leverancier")
    configure(shop, 'certificate = "tls/leverancier.pem"', 'key = "tls/leverancier.key"')
    result = offer(shop)
    assert result.exit_code == 1
    assert "HTTP 403" in result.stderr
    assert "on the list of that certificate" in " ".join(result.stderr.split())
    assert dso.api.cpas.cpas == {}


def test_the_certificate_of_dso_is_used_where_publish_has_none(shop: Any, dso: SimulatedDso) -> None:
    supplier = shop.world.pki.issue("Leverancier", "00000099000000007000")
    supplier.write(shop.world.directory / "tls", "leverancier")
    table = f"[authorities.{NAME}.dso]"
    own = f'{table}\ncertificate = "tls/leverancier.pem"\nkey = "tls/leverancier.key"'
    shop.world.config.write_text(shop.world.config.read_text().replace(table, own))
    assert "of the certificate of 00000099000000007000" in offer(shop).stderr


def test_a_cpa_of_somebody_else_is_refused_before_anything_is_sent(shop: Any, dso: SimulatedDso) -> None:
    path = edited(shop, shop.world.authorities[0].oin, "00000099000000008000")
    result = offer(shop, "--force", source=path)
    assert result.exit_code == 1
    assert "correct its `party`" in result.stderr
    assert dso.api.requests == []


def test_a_cpa_of_another_environment_is_refused_even_by_force(shop: Any, dso: SimulatedDso) -> None:
    path = edited(shop, f"https://localhost:{shop.world.ports.dso_ebms}/ebms", PRODUCTION)
    result = offer(shop, "--force", source=path)
    assert result.exit_code == 1
    assert "is of environment prod, this is test" in result.stderr
    assert dso.api.requests == []


def test_a_cpa_with_errors_is_refused_and_published_by_force(shop: Any, dso: SimulatedDso) -> None:
    path = edited(shop, "http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1")
    refused = offer(shop, source=path)
    assert refused.exit_code == 1
    assert "SIG-04" in refused.stderr
    assert "--force" in refused.stderr
    assert dso.api.requests == []
    assert offer(shop, "--force", source=path).exit_code == 0
    assert shop.cpa_id in dso.api.cpas.cpas


def test_a_dry_run_shows_the_request_and_sends_nothing(shop: Any, dso: SimulatedDso) -> None:
    configure(shop, 'headers = { X-Api-Key = "geheim-1" }')
    result = offer(shop, "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    shown = json.loads(result.stdout)
    assert shown["method"] == "POST"
    assert f"OIN: {shop.world.authorities[0].oin}" in shown["headers"]
    assert "geheim-1" not in result.stdout
    assert dso.api.requests == []
    assert not (shop.state / "evidence").exists()


def test_the_evidence_has_no_secret(shop: Any, dso: SimulatedDso) -> None:
    configure(shop, 'headers = { X-Api-Key = "geheim-1" }')
    assert offer(shop).exit_code == 0
    assert "geheim-1" not in page(shop)
    assert "PRIVATE KEY" not in page(shop)


def test_an_api_key_goes_along_and_is_shown_nowhere(shop: Any, dso: SimulatedDso) -> None:
    dso.api.settings = replace(dso.api.settings, api_key="geheim-2")
    assert "HTTP 40" in offer(shop).stderr
    (shop.world.directory / "api.key").write_text("geheim-2\n")
    configure(shop, 'api_key_file = "api.key"')
    shown = offer(shop, "--dry-run")
    assert "x-api-key: (not shown)" in shown.stdout
    assert offer(shop).exit_code == 0
    assert "geheim-2" not in shown.stdout + page(shop)


def test_an_api_key_that_cannot_be_read_is_said_to_be_so(shop: Any) -> None:
    configure(shop, 'api_key_file = "none.key"')
    result = offer(shop)
    assert result.exit_code == 78
    assert "publish.api_key_file: " in result.stderr
    assert "api_key_file" in shop.run("check").stdout


def test_the_evidence_says_who_what_where_and_when(shop: Any, dso: SimulatedDso) -> None:
    offer(shop)
    text = re.sub(r"\s+", " ", page(shop))
    authority = shop.world.authorities[0]
    for wanted in ("TEST", authority.oin, shop.cpa_id, "Vingerafdruk", "Versie van stam-adapter", "gelukt"):
        assert wanted in text


def test_evidence_that_cannot_be_written_stops_before_anything_is_sent(shop: Any, dso: SimulatedDso) -> None:
    (shop.world.directory / "file").touch()
    result = offer(shop, "--evidence", shop.world.directory / "file" / "below")
    assert result.exit_code == 1
    assert "choose another directory with --evidence" in result.stderr
    assert dso.api.requests == []


def test_an_authority_without_the_table_is_told_to_add_it(shop: Any) -> None:
    text = shop.world.config.read_text()
    shop.world.config.write_text(re.sub(r"\[authorities\.voorbeeldstad\.publish\]\nurl = .*\n", "", text))
    result = offer(shop)
    assert result.exit_code == 78
    assert f"add {TABLE}" in result.stderr
