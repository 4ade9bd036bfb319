# SPDX-License-Identifier: EUPL-1.2

"""The snapshot of authorities: who may connect, who may sign, and which agreement counts."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapter.authorities import AgreementDocument, Authorities, build_authorities
from adapter.config import AgreementConfig, AuthorityConfig, CertificateRenewal, Config, load_config
from adapter.pki import KeyPair, load_key_pair
from adapter.simulator import DSO_OIN, SERVICE, AgreementPlan, World, create_world
from cpa import Service

NOW = datetime.now(UTC)
HUB = "00000099000000003000"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    plans = {"voorbeeldstad": AgreementPlan(), "anderstad": AgreementPlan()}
    return create_world(tmp_path_factory.mktemp("world"), plans)


@pytest.fixture
def config(world: World) -> Config:
    return load_config(world.config, {})


def keys(world: World) -> Mapping[str, KeyPair]:
    tls = world.directory / "tls"
    return {
        one.name: load_key_pair(tls / f"{one.name}.pem", tls / f"{one.name}.key") for one in world.authorities
    }


def documents(world: World) -> list[AgreementDocument]:
    return [AgreementDocument(one.name, one.cpa_id, one.cpa_path.read_bytes()) for one in world.authorities]


def built(world: World, configs: Mapping[str, AuthorityConfig]) -> Authorities:
    authorities, problems = build_authorities(configs, keys(world), documents(world), "1")
    assert problems == ()
    return authorities


def with_settings(config: Config, cpa_id: str, settings: AgreementConfig) -> dict[str, AuthorityConfig]:
    changed = config.authorities["voorbeeldstad"].model_copy(update={"agreements": {cpa_id: settings}})
    return {**config.authorities, "voorbeeldstad": changed}


def test_an_agreement_is_found_by_its_exact_cpa_id(world: World, config: Config) -> None:
    authorities = built(world, config.authorities)
    cpa_id = world.authorities[0].cpa_id
    found = authorities.find_agreement(cpa_id)
    assert found is not None
    assert found.authority == "voorbeeldstad"
    assert authorities.find_agreement(cpa_id.lower()) is None


def test_the_partner_of_an_agreement_may_connect_and_nobody_else(world: World, config: Config) -> None:
    authorities = built(world, config.authorities)
    assert authorities.admits(DSO_OIN, None, test=False)
    assert not authorities.admits(HUB, None, test=False)
    assert not authorities.admits(None, None, test=True)


def test_who_acts_for_the_partner_may_connect_under_that_agreement_only(world: World, config: Config) -> None:
    first, second = (one.cpa_id for one in world.authorities)
    configs = with_settings(config, first, AgreementConfig(acts_for=(HUB,)))
    authorities = built(world, configs)
    known, other = authorities.find_agreement(first), authorities.find_agreement(second)
    assert known is not None
    assert other is not None
    assert known.admits(HUB, None, test=False)
    assert not other.admits(HUB, None, test=False)


def test_a_certificate_without_oin_connects_only_in_a_test_set_up_and_from_the_agreement(
    world: World, config: Config, tmp_path: Path
) -> None:
    known = built(world, config.authorities).find_agreement(world.authorities[0].cpa_id)
    assert known is not None
    assert known.is_loopback
    stranger = world.pki.issue("somebody", None).certificate
    assert not known.admits(None, stranger, test=True)
    assert known.admits(None, world.dso_keys.certificate, test=True)
    assert not known.admits(None, world.dso_keys.certificate, test=False)


@pytest.mark.parametrize(
    ("renewal", "oin", "allowed"),
    [
        (CertificateRenewal.SAME_OIN, DSO_OIN, True),
        (CertificateRenewal.SAME_OIN, HUB, False),
        (CertificateRenewal.SAME_OIN, None, False),
        (CertificateRenewal.CPA, DSO_OIN, False),
    ],
)
def test_a_renewed_certificate_may_be_used_for_the_same_oin_where_the_agreement_says_so(
    world: World, config: Config, renewal: CertificateRenewal, oin: str | None, allowed: bool
) -> None:
    cpa_id = world.authorities[0].cpa_id
    configs = with_settings(config, cpa_id, AgreementConfig(certificate_renewal=renewal))
    known = built(world, configs).find_agreement(cpa_id)
    assert known is not None
    exchange = known.agreement.received(SERVICE, "verzoeknotificatie")
    assert exchange is not None
    assert exchange.signing_certificate is not None
    renewed = world.pki.issue("renewed", oin).certificate
    assert known.may_use(renewed, exchange.signing_certificate) is allowed
    assert known.may_use(world.dso_keys.certificate, exchange.signing_certificate)


def test_the_first_route_that_fits_is_taken(world: World, config: Config) -> None:
    authority = built(world, config.authorities).by_name["voorbeeldstad"]
    route = authority.route_for(SERVICE, "verzoeknotificatie")
    assert route is not None
    assert route.sink == "archief"
    assert authority.route_for(Service("other"), "anything") == route  # it names no service


def test_an_agreement_of_other_parties_is_left_out_with_the_reason(world: World, config: Config) -> None:
    theirs = documents(world)[1]
    wrong = AgreementDocument("voorbeeldstad", theirs.cpa_id, theirs.document)
    authorities, problems = build_authorities(config.authorities, keys(world), [wrong], "1")
    assert authorities.find_agreement(theirs.cpa_id) is None
    assert len(problems) == 1
    assert "correct `party` of the authority" in problems[0]


def test_a_channel_whose_business_responses_come_back_in_the_response_is_refused(
    world: World, config: Config
) -> None:
    current = documents(world)[0]
    wrong = current.document.replace(b'syncReplyMode="none"', b'syncReplyMode="responseOnly"')
    document = AgreementDocument(current.authority, current.cpa_id, wrong)
    authorities, problems = build_authorities(config.authorities, keys(world), [document], "1")
    assert authorities.find_agreement(current.cpa_id) is None
    assert "responseOnly is not supported" in problems[0]


def test_an_agreement_of_an_authority_that_is_gone_is_nobodys(world: World, config: Config) -> None:
    rest = {"anderstad": config.authorities["anderstad"]}
    authorities, problems = build_authorities(rest, keys(world), documents(world), "1")
    assert problems == ()
    assert authorities.find_agreement(world.authorities[0].cpa_id) is None


@pytest.mark.parametrize(("ago", "counts"), [(timedelta(hours=1), True), (timedelta(days=3), False)])
def test_a_replaced_version_counts_until_its_persist_duration_has_passed(
    world: World, config: Config, ago: timedelta, counts: bool
) -> None:
    current = documents(world)[0]
    earlier = AgreementDocument(current.authority, current.cpa_id, current.document, NOW - ago)
    authorities, _ = build_authorities(config.authorities, keys(world), [current, earlier], "2", NOW)
    known = authorities.find_agreement(current.cpa_id)
    assert known is not None
    assert len(known.previous) == int(counts)
