# SPDX-License-Identifier: EUPL-1.2

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from adapter.pki import ThrowawayPki
from adapter.simulator import DEFAULT_BASE, AgreementPlan, World, create_world
from adapter.store import migrate

Cli = Callable[..., Result]


def edit(world: World, old: str, new: str) -> None:
    text = world.config.read_text()
    assert old in text
    world.config.write_text(text.replace(old, new))


def errors(cli: Cli, world: World) -> tuple[int, str]:
    """The exit code, and the details of every error."""
    result = cli("check", "--config", world.config, "--json")
    lines = json.loads(result.stdout)
    return result.exit_code, "\n".join(line["detail"] for line in lines if line["result"] == "error")


def test_a_fresh_world_is_in_order_and_nothing_is_made(world: World) -> None:
    before = sorted(world.directory.rglob("*"))
    ran = subprocess.run(
        [sys.executable, "-m", "adapter", "check", "--config", str(world.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "will be made" in ran.stdout
    assert sorted(world.directory.rglob("*")) == before
    assert not (world.directory / "var").exists()


def test_the_table_has_a_line_for_each_thing(cli: Cli, made_once: World) -> None:
    result = cli("check", "--config", made_once.config, "--json")
    lines: list[dict[str, Any]] = json.loads(result.stdout)
    assert {line["what"] for line in lines} == {
        *(
            "configuration",
            "root",
            "key",
            "certificate",
            "oin",
            "cpa",
            "signing",
            "database",
            "payloads",
            "listener",
            "sink",
        )
    }
    assert all(set(line) == {"what", "name", "result", "detail"} for line in lines)
    assert {line["result"] for line in lines} <= {"ok", "warning"}


def test_a_database_of_this_version_is_recognised(cli: Cli, world: World) -> None:
    migrate("sqlite", world.directory / "var")
    result = cli("check", "--config", world.config)
    assert result.exit_code == 0
    assert "of this version; no daemon runs on it" in result.stdout


def test_every_fault_of_the_configuration_is_named(cli: Cli, world: World) -> None:
    edit(world, 'state = "var"', 'stat = "var"\nnonsense = 1')
    code, text = errors(cli, world)
    assert code == 78
    assert "did you mean `state`" in text
    assert "nonsense" in text


def test_a_missing_key_is_wrong_configuration(cli: Cli, world: World) -> None:
    (world.directory / "tls" / "voorbeeldstad.key").unlink()
    code, text = errors(cli, world)
    assert code == 78
    assert "voorbeeldstad.key: cannot be read" in text


def test_a_missing_root_is_wrong_configuration(cli: Cli, world: World) -> None:
    (world.directory / "tls" / "root.pem").unlink()
    code, text = errors(cli, world)
    assert code == 78
    assert "trust.roots[0]: " in text


@pytest.fixture
def other_key(world: World) -> Callable[..., None]:
    """Gives the authority another key and certificate than the one in its CPA."""

    def make(oin: str | None = None, *, pki: ThrowawayPki | None = None, **options: Any) -> None:
        issued = (pki or world.pki).issue("Gemeente", oin, **options)
        issued.write(world.directory / "tls", "voorbeeldstad")

    return make


def test_the_key_of_another_organisation_is_wrong(
    cli: Cli, world: World, other_key: Callable[..., None]
) -> None:
    other_key("00000099999999999000")
    code, text = errors(cli, world)
    assert code == 78
    assert "certificate is of OIN 00000099999999999000" in text
    assert "is not the one in" in text


def test_a_renewed_certificate_is_a_warning(cli: Cli, world: World, other_key: Callable[..., None]) -> None:
    other_key(world.authorities[0].oin)
    result = cli("check", "--config", world.config)
    assert result.exit_code == 0
    assert "ask for a CPA with the new one" in result.stdout


def test_an_expired_certificate_is_wrong(cli: Cli, world: World, other_key: Callable[..., None]) -> None:
    now = datetime.now(UTC)
    pki = ThrowawayPki(now - timedelta(days=60))
    other_key(world.authorities[0].oin, pki=pki, not_after=now - timedelta(days=1))
    code, text = errors(cli, world)
    assert code == 78
    assert "expired; put a new certificate in" in text


def test_a_certificate_that_expires_soon_is_a_warning(
    cli: Cli, world: World, other_key: Callable[..., None]
) -> None:
    other_key(world.authorities[0].oin, not_after=datetime.now(UTC) + timedelta(days=10))
    result = cli("check", "--config", world.config)
    assert result.exit_code == 0
    assert "ask for a new certificate now" in result.stdout


@pytest.mark.parametrize(("environment", "code"), [("test", 0), ("pre", 78)])
def test_a_certificate_of_unknown_issuers_is_only_for_tests(
    cli: Cli, world: World, other_key: Callable[..., None], environment: str, code: int
) -> None:
    other_key(world.authorities[0].oin, pki=ThrowawayPki(datetime.now(UTC)))
    edit(world, 'environment = "test"', f'environment = "{environment}"')
    result = cli("check", "--config", world.config)
    assert result.exit_code == code
    assert "put its intermediate certificates after it" in result.stdout


def test_a_cpa_that_cannot_be_read_is_wrong(cli: Cli, world: World) -> None:
    world.authorities[0].cpa_path.write_text("<nonsense/>")
    code, text = errors(cli, world)
    assert code == 78
    assert "ask for a correct CPA" in text


def test_a_cpa_file_that_is_not_there_is_wrong(cli: Cli, world: World) -> None:
    world.authorities[0].cpa_path.unlink()
    code, text = errors(cli, world)
    assert code == 78
    assert "authorities.voorbeeldstad.cpas[0]: " in text


def test_a_cpa_of_others_is_wrong(cli: Cli, world: World) -> None:
    edit(world, 'party = "urn:osb:oin:00000099100000001000"', 'party = "urn:osb:oin:00000099777777777000"')
    code, text = errors(cli, world)
    assert code == 78
    assert "correct `party`" in text


def test_a_suffix_of_a_test_environment_does_not_count_for_the_oin(cli: Cli, world: World) -> None:
    edit(world, 'party = "urn:osb:oin:00000099100000001000"', 'party = "urn:osb:oin:00000099100000001000_T"')
    lines = json.loads(cli("check", "--config", world.config, "--json").stdout)
    assert [line["result"] for line in lines if line["what"] == "oin"] == ["ok"]


def test_an_ended_cpa_is_wrong(cli: Cli, tmp_path: Path) -> None:
    world = create_world(
        tmp_path, {"voorbeeldstad": AgreementPlan()}, now=datetime.now(UTC) - timedelta(days=70)
    )
    code, text = errors(cli, world)
    assert code == 78
    assert "the CPA ended on" in text


def test_one_cpa_for_two_authorities_is_wrong(cli: Cli, tmp_path: Path) -> None:
    world = create_world(tmp_path, {"een": AgreementPlan(), "twee": AgreementPlan()})
    edit(world, 'cpas = ["cpa/twee.xml"]', 'cpas = ["cpa/twee.xml", "cpa/een.xml"]')
    code, text = errors(cli, world)
    assert code == 78
    assert "neither party is" in text
    assert "a CPAId belongs to one authority" in text


def test_a_wrong_option_of_a_sink_is_wrong_configuration(cli: Cli, world: World) -> None:
    edit(world, 'path = "verzoeken/voorbeeldstad"', 'path = "verzoeken/voorbeeldstad"\npaht = 1')
    code, text = errors(cli, world)
    assert code == 78
    assert "did you mean `path`" in text


def test_a_sink_that_is_not_there_fails(cli: Cli, world: World) -> None:
    world.authorities[0].sink.rmdir()
    code, text = errors(cli, world)
    assert code == 1
    assert "make or mount it" in text


def test_a_database_that_is_none_fails(cli: Cli, world: World) -> None:
    state = world.directory / "var"
    state.mkdir()
    (state / "stam-adapter.db").write_bytes(b"nonsense" * 100)
    code, text = errors(cli, world)
    assert code == 1
    assert "restore it from a backup" in text


def test_a_state_directory_that_is_a_file_fails(cli: Cli, world: World) -> None:
    (world.directory / "var").write_text("")
    code, text = errors(cli, world)
    assert code == 1
    assert "correct its rights" in text


def test_a_database_server_that_cannot_be_reached_fails_and_no_password_is_shown(
    cli: Cli, world: World
) -> None:
    url = "postgresql://nobody:geheim@127.0.0.1:1/db"
    edit(world, 'state = "var"', f'state = "var"\nstore = {{ url = "{url}" }}')
    code, text = errors(cli, world)
    assert code == 1
    assert "look whether the server runs" in text
    assert "geheim" not in text


def test_two_listeners_on_one_port_are_wrong(cli: Cli, world: World) -> None:
    edit(world, f"127.0.0.1:{world.ports.admin}", f"127.0.0.1:{world.ports.adapter}")
    code, text = errors(cli, world)
    assert code == 78
    assert "give one another port" in text


def test_nothing_is_bound_so_a_daemon_may_run(cli: Cli, world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", world.ports.adapter))
        taken.listen()
        assert cli("check", "--config", world.config).exit_code == 0


def test_an_empty_token_file_is_wrong(cli: Cli, world: World) -> None:
    (world.directory / "beheer.token").write_text("\n")
    user = '\n[[admin.users]]\nname = "beheer"\ntoken_file = "beheer.token"\nrole = "look"\nauthorities = ["*"]\n'
    edit(world, "\n[retries]", user + "\n[retries]")
    code, text = errors(cli, world)
    assert code == 78
    assert "beheer.token is empty" in text


def test_a_house_style_that_loads_something_is_wrong(cli: Cli, world: World) -> None:
    (world.directory / "thema.css").write_text("a { background: url(https://elsewhere.example/a.png) }")
    edit(world, "[admin]\n", '[admin]\ntheme = "thema.css"\n')
    code, text = errors(cli, world)
    assert code == 78
    assert "thema.css loads something with 'url(h', which pages may not; write it as url(data:" in text


def test_an_authority_without_agreement_is_a_warning(cli: Cli, world: World) -> None:
    edit(world, 'cpas = ["cpa/voorbeeldstad.xml"]', "cpas = []")
    result = cli("check", "--config", world.config)
    assert result.exit_code == 0
    assert "stam-adapter cpa add" in result.stdout


def test_an_agreement_that_was_added_is_checked_too(cli: Cli, world: World) -> None:
    edit(world, 'cpas = ["cpa/voorbeeldstad.xml"]', "cpas = []")
    assert cli("db", "migrate", "--config", world.config).exit_code == 0
    path = world.authorities[0].cpa_path
    assert cli("cpa", "add", path, "-a", "voorbeeldstad", "--config", world.config).exit_code == 0
    result = cli("check", "--config", world.config)
    assert "added on" in result.stdout
    assert "stam-adapter cpa add" not in result.stdout


PLAIN_PATHS = """
strategy = "direct"
direct.document = "/verzoeken/{verzoeknummer}/documenten/{documentId}"
"""
RECONCILE = "[authorities.{name}.reconcile]\narea = [150000, 460000, 160000, 468000]\n"


def warnings_of(cli: Cli, world: World, what: str) -> str:
    lines = json.loads(cli("check", "--config", world.config, "--json").stdout)
    return "\n".join(line["detail"] for line in lines if line["result"] == "warning" and line["what"] == what)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ("", None),
        (PLAIN_PATHS, None),
        ('strategy = "direct"\n', "direct.document is not set"),
        ('references = "/v/{verzoeknummer}/{volgnummer}"\n', "a path asks for the volgnummer"),
        (f'{PLAIN_PATHS}direct.verzoek = "/v/{{verzoeknummer}}/{{volgnummer}}"\n', "asks for the volgnummer"),
    ],
)
def test_what_the_paths_of_verzoek_afhandelen_cannot_lead_to_is_a_warning(
    cli: Cli, world: World, options: str, warned: str | None
) -> None:
    edit(world, f'{DEFAULT_BASE}"\n', f'{DEFAULT_BASE}"\n{options}')
    with world.config.open("a") as config:
        config.write(RECONCILE.format(name=world.authorities[0].name))
    found = warnings_of(cli, world, "dso")
    assert found == "" if warned is None else warned in found


SECRETS = """
api_key_file = "apikey"
oauth = { token_url = "https://login.example/token", client_id = "wij", client_secret_file = "secret" }
"""


def test_the_secrets_of_verzoek_afhandelen_are_looked_at(cli: Cli, world: World) -> None:
    edit(world, f'{DEFAULT_BASE}"\n', f'{DEFAULT_BASE}"{SECRETS}')
    (world.directory / "apikey").write_text("een-sleutel\n")
    code, found = errors(cli, world)
    assert code != 0
    assert "oauth.client_secret_file: " in found
    assert "secret cannot be read (No such file or directory); check the path and its rights" in found
    assert "api_key_file" not in found
    (world.directory / "secret").write_text("een-geheim")
    assert errors(cli, world) == (0, "")
    assert "een-geheim" not in cli("check", "--config", world.config).stdout


def test_a_proxy_that_hands_over_no_chain_is_a_warning_unless_authorities_are_known(
    cli: Cli, world: World
) -> None:
    edit(world, "[ebms]\n", '[ebms]\ntrusted_proxies = ["10.0.0.2"]\nproxy = {form = "nginx"}\n')
    result = cli("check", "--config", world.config, "--json")
    details = {line["detail"] for line in json.loads(result.stdout) if line["what"] == "listener"}
    assert any("behind 10.0.0.2 with X-SSL-Client-Cert" in detail for detail in details)
    assert any("name them in trust.intermediates" in detail for detail in details)
    edit(world, 'form = "nginx"', 'form = "traefik"')
    assert "name them in trust.intermediates" not in cli("check", "--config", world.config).stdout
