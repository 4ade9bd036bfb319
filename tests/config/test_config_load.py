# SPDX-License-Identifier: EUPL-1.2

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from adapter.config import CertificateRenewal, Config, Environment, Flow, Listen, Role
from adapter.pki import RevocationMode
from cpa import PartyId

Load = Callable[..., Config]


def test_every_option_is_read(load: Load, whole: str, tmp_path: Path) -> None:
    config = load(whole)
    assert config.environment is Environment.PRE
    assert config.state == tmp_path / "var"
    assert config.trust.roots == (tmp_path / "tls/pkioverheid-private-g1.pem",)
    assert config.ebms.listen == Listen("0.0.0.0", 8443)
    assert config.ebms.max_message == 100 * 1024 * 1024
    assert config.ebms.read_timeout == timedelta(seconds=45)
    assert config.ebms.tls is not None
    assert config.ebms.tls.key == tmp_path / "tls/server.key"
    assert config.admin.users[0].role is Role.ADMINISTER
    assert config.admin.users[0].token_file == tmp_path / "beheer.token"
    assert config.retries.give_up == timedelta(days=5)
    assert (config.log.format, config.log.level, config.limits.concurrency) == ("console", "debug", 4)


def test_a_file_that_systemd_hands_over_is_where_it_says(
    load: Load, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = whole.replace('"tls/server.key"', '"${CREDENTIALS_DIRECTORY}/server.key"')
    assert handed != whole
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/stam-adapter.service")
    tls = load(handed).ebms.tls
    assert tls is not None
    assert tls.key == Path("/run/credentials/stam-adapter.service/server.key")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    tls = load(handed).ebms.tls
    assert tls is not None
    assert tls.key == tmp_path / "${CREDENTIALS_DIRECTORY}/server.key"  # which the error then names


@pytest.mark.parametrize(
    ("party", "party_id"),
    [
        ("00000001001100415000", PartyId("00000001001100415000")),
        ("urn:osb:oin:00000001001100415000_OTA", PartyId("00000001001100415000_OTA", "urn:osb:oin")),
    ],
)
def test_a_party_may_have_no_type_and_a_suffix(load: Load, whole: str, party: str, party_id: PartyId) -> None:
    authority = load(whole.replace("urn:osb:oin:00000001001100415000", party)).authorities["voorbeeldstad"]
    assert (authority.party_id, authority.oin) == (party_id, "00000001001100415000")


def test_every_option_of_an_authority_is_read(load: Load, whole: str, tmp_path: Path) -> None:
    authority = load(whole).authorities["voorbeeldstad"]
    assert authority.party == "urn:osb:oin:00000001001100415000"
    assert authority.party_id == PartyId("00000001001100415000", "urn:osb:oin")
    assert authority.cpas == (tmp_path / "cpa/voorbeeldstad.xml",)
    agreement = authority.agreements["CPA-1"]
    assert agreement.acts_for == ("00000003123456780000",)
    assert agreement.certificate_renewal is CertificateRenewal.CPA
    assert agreement.max_message == 2 * 1024**3
    assert authority.dso is not None
    assert authority.dso.links.pdf == ("pdf",)
    assert "samenvatting" in authority.dso.links.verzoek
    assert authority.dso.timeout == timedelta(minutes=2)
    assert authority.routes[0].flow is Flow.STAM
    assert authority.routes[0].service is None


def test_a_sink_stays_a_raw_table_with_its_path_resolved(load: Load, whole: str, tmp_path: Path) -> None:
    sink = load(whole).authorities["voorbeeldstad"].sinks["archief"]
    assert dict(sink) == {
        "type": "directory",
        "path": str(tmp_path / "verzoeken"),
        "options": {"deep": ("a", "b")},
    }


def test_a_raw_sink_table_is_fit_for_a_model_of_the_sink(load: Load, whole: str) -> None:
    class Options(BaseModel):
        type: str
        path: Path
        options: dict[str, tuple[str, ...]]

    sink = load(whole).authorities["voorbeeldstad"].sinks["archief"]
    assert Options.model_validate(sink).options == {"deep": ("a", "b")}


def test_defaults_are_those_of_the_manual(load: Load, tmp_path: Path) -> None:
    config = load('environment = "test"')
    assert config.state == tmp_path / "var"
    assert (config.store.url, config.store.payloads) == ("sqlite", "file")
    assert config.ebms.path == "/ebms"
    assert config.ebms.read_timeout == timedelta(seconds=30)
    assert config.admin.listen == Listen("127.0.0.1", 8080)
    assert config.limits.concurrency == 32
    assert config.retries.first == timedelta(seconds=10)
    assert (config.log.format, config.log.level) == ("json", "info")
    assert dict(config.authorities) == {}


def test_the_configuration_cannot_be_changed(load: Load, whole: str) -> None:
    config = load(whole)
    with pytest.raises(ValidationError):
        config.ebms.path = "/x"
    with pytest.raises(TypeError):
        config.authorities["other"] = config.authorities["voorbeeldstad"]  # type: ignore[index]
    with pytest.raises(TypeError):
        config.authorities["voorbeeldstad"].sinks["archief"]["type"] = "x"  # type: ignore[index]


def test_absolute_paths_stay_as_they_are(load: Load, small: str) -> None:
    config = load('state = "/var/lib/adapter"\n' + small)
    assert config.state == Path("/var/lib/adapter")


def test_paths_are_relative_to_the_file_not_to_where_we_run(
    load: Load, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert load(small).authorities["stad"].key == tmp_path / "stad.key"


def test_an_authority_can_have_a_file_of_its_own(load: Load, small: str, tmp_path: Path) -> None:
    dorp = 'party = "urn:osb:oin:00000003123456780000"\ncertificate = "dorp.pem"\nkey = "dorp.key"\n'
    config = load(small, more={"authorities.d/dorp.toml": dorp, "authorities.d/readme.txt": "x"})
    assert set(config.authorities) == {"stad", "dorp"}
    assert config.authorities["dorp"].key == tmp_path / "dorp.key"


@pytest.mark.parametrize("name", ["STAM_ADAPTER__EBMS__LISTEN", "stam_adapter__ebms__listen"])
def test_the_environment_wins_over_the_file(load: Load, whole: str, name: str) -> None:
    assert load(whole, {name: "[::1]:9000", "PATH": "/bin"}).ebms.listen == Listen("::1", 9000)


def test_the_environment_gives_text_numbers_truth_and_lists(load: Load, whole: str, tmp_path: Path) -> None:
    config = load(
        whole,
        {
            "STAM_ADAPTER__LIMITS__CONCURRENCY": "7",
            "STAM_ADAPTER__TRUST__ROOTS": '["a.pem", "b.pem"]',
            "STAM_ADAPTER__AUTHORITIES__VOORBEELDSTAD__AGREEMENTS__CPA-1__LEGACY": "false",
            "STAM_ADAPTER__AUTHORITIES__VOORBEELDSTAD__SINKS__ARCHIEF__PATH": "elders",
        },
    )
    assert config.limits.concurrency == 7
    assert config.trust.roots == (tmp_path / "a.pem", tmp_path / "b.pem")
    authority = config.authorities["voorbeeldstad"]
    assert set(authority.agreements) == {"CPA-1"}
    assert authority.agreements["CPA-1"].legacy is False
    assert authority.sinks["archief"]["path"] == str(tmp_path / "elders")


def test_the_environment_makes_tables_that_the_file_does_not_have(
    load: Load, small: str, tmp_path: Path
) -> None:
    names = ("STAM_ADAPTER__EBMS__TLS__CERTIFICATE", "STAM_ADAPTER__EBMS__TLS__KEY")
    config = load(small, dict(zip(names, ("s.pem", "s.key"), strict=True)))
    assert config.ebms.tls is not None
    assert config.ebms.tls.certificate == tmp_path / "s.pem"


def test_revocation_is_hard_in_production_soft_before_it_and_off_in_a_test(
    load: Load, whole: str, small: str
) -> None:
    assert load(whole).revocation is RevocationMode.SOFT
    assert load(whole.replace('"pre"', '"prod"', 1)).revocation is RevocationMode.HARD
    assert load(small).environment is Environment.TEST
    assert load(small).revocation is RevocationMode.OFF
