# SPDX-License-Identifier: EUPL-1.2

"""Which key a connection to a partner is made with, when an operator overrides the certificate of an agreement."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.authorities import AgreementDocument, Authorities, KnownAgreement, build_authorities
from adapter.config import OutgoingConfig, load_config
from adapter.msh import Partners
from adapter.msh.partners import MissingKey
from adapter.pki import KeyPair, load_key_pair
from adapter.simulator import AgreementPlan, World, create_world
from adapter.store import (
    CertificateOverride,
    Database,
    migrate,
    open_database,
    overrides_of,
    put_certificate_override,
)
from cpa import Exchange

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAME = "voorbeeldstad"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return create_world(tmp_path_factory.mktemp("world"), {NAME: AgreementPlan()})


@pytest.fixture(scope="module")
def own(world: World) -> KeyPair:
    tls = world.directory / "tls"
    return load_key_pair(tls / f"{NAME}.pem", tls / f"{NAME}.key")


@pytest.fixture(scope="module")
def spare(world: World) -> KeyPair:
    return world.pki.issue("spare", world.authorities[0].oin).key_pair(world.directory / "tls", "spare")


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    migrate("sqlite", tmp_path)
    opened = open_database("sqlite", tmp_path, exclusive=False)
    yield opened
    await opened.close()


@pytest.fixture
def authorities(world: World, own: KeyPair) -> Authorities:
    one = world.authorities[0]
    document = AgreementDocument(one.name, one.cpa_id, one.cpa_path.read_bytes())
    configs = load_config(world.config, {}).authorities
    return build_authorities(configs, {NAME: own}, [document], "1")[0]


@pytest.fixture
def known(authorities: Authorities, world: World) -> KnownAgreement:
    found = authorities.find_agreement(world.authorities[0].cpa_id)
    assert found is not None
    return found


@pytest.fixture
def exchange(known: KnownAgreement) -> Exchange:
    return known.agreement.sent_signal("Ping")


@pytest.fixture
def partners(authorities: Authorities, world: World, spare: KeyPair) -> Partners:
    return Partners(lambda: authorities, world.trust, OutgoingConfig(), True, lambda _: (spare,))


async def override(db: Database, exchange: Exchange, destination: bytes, cpa_id: str | None = None) -> None:
    assert exchange.client_certificate is not None
    assert exchange.client_certificate.der is not None
    change = CertificateOverride(NAME, exchange.client_certificate.der, destination, cpa_id)
    await db.write(put_certificate_override, change, NOW)


def der(keys: KeyPair) -> bytes:
    return keys.certificate.public_bytes(Encoding.DER)


async def test_without_an_override_the_authority_connects_with_its_own_key(
    partners: Partners, db: Database, known: KnownAgreement, exchange: Exchange, own: KeyPair
) -> None:
    assert partners.keys_for(known, exchange, await db.read(overrides_of, NAME)) == own


async def test_an_overridden_certificate_is_connected_with(
    partners: Partners, db: Database, known: KnownAgreement, exchange: Exchange, spare: KeyPair
) -> None:
    await override(db, exchange, der(spare))
    assert partners.keys_for(known, exchange, await db.read(overrides_of, NAME)) == spare


async def test_an_override_for_the_agreement_goes_before_one_for_all(
    partners: Partners, db: Database, known: KnownAgreement, exchange: Exchange, own: KeyPair, spare: KeyPair
) -> None:
    await override(db, exchange, der(spare))
    await override(db, exchange, der(own), known.cpa_id)
    assert partners.keys_for(known, exchange, await db.read(overrides_of, NAME)) == own


async def test_an_override_for_another_agreement_changes_nothing(
    partners: Partners, db: Database, known: KnownAgreement, exchange: Exchange, own: KeyPair, spare: KeyPair
) -> None:
    await override(db, exchange, der(spare), "another")
    assert partners.keys_for(known, exchange, await db.read(overrides_of, NAME)) == own


async def test_clients_of_a_key_that_is_nobodys_any_more_are_closed(
    authorities: Authorities, world: World, known: KnownAgreement, own: KeyPair, spare: KeyPair
) -> None:
    spares, endpoint = [spare], known.agreement.sent_signal("Ping").endpoint
    partners = Partners(lambda: authorities, world.trust, OutgoingConfig(), True, lambda _: tuple(spares))
    kept, other = (partners.client(known, endpoint, keys) for keys in (own, spare))
    await partners.close_unused((own, spare))
    assert partners.client(known, endpoint, spare) is other
    spares.clear()
    await partners.close_unused((own, spare))
    assert partners.client(known, endpoint, own) is kept
    with pytest.raises(RuntimeError, match="was closed"):
        async with other.request("GET", endpoint):
            pass
    await partners.close()


async def test_an_override_whose_key_is_not_ours_sends_nothing_with_another(
    partners: Partners, db: Database, known: KnownAgreement, exchange: Exchange, world: World
) -> None:
    await override(db, exchange, der(world.dso_keys))
    with pytest.raises(MissingKey, match="spare_keys"):
        partners.keys_for(known, exchange, await db.read(overrides_of, NAME))
