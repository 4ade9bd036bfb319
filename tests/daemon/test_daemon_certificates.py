# SPDX-License-Identifier: EUPL-1.2

"""Certificates are replaced while the daemon runs: of the listener, of an authority, and of a partner."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.config import load_config
from adapter.daemon.key_rings import load_key_rings
from adapter.ebms import read_envelope
from adapter.pki import IssuedCertificate, client_context, peer_certificate
from adapter.simulator import DSO_OIN, AgreementPlan, create_world
from cpa import PartyId, agreement_for, parse_cpa
from cpa.names import OIN_TYPE
from tests.daemon.hosting import SOON, Hosting, hosted
from tests.e2e.conftest import until

OTHER_OIN = "00000099000000002000"
MANY = 12


@pytest.fixture
async def hosting(tmp_path: Path) -> AsyncIterator[Hosting]:
    """A daemon to be started, whose listener has a certificate of its own."""
    plans = dict.fromkeys(("adorp", "bestad"), AgreementPlan())
    world = await asyncio.to_thread(create_world, tmp_path, plans, apart=True)
    world.pki.issue("Voordeur", None).write(tmp_path / "tls", "door")
    text = world.config.read_text()
    world.config.write_text(text.replace("tls/adorp.", "tls/door."))
    async with hosted(world) as made:
        yield made


# --- the listener


async def test_a_listener_shows_a_renewed_certificate_and_connections_go_on(hosting: Hosting) -> None:
    await hosting.start(look=SOON)
    first = hosting.world.directory / "tls" / "door.pem"
    context = client_context(hosting.world.dso_keys, hosting.world.trust)
    port = hosting.world.ports.adapter
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    assert peer_certificate(writer.get_extra_info("ssl_object")) == leaf(first)
    renewed = hosting.world.pki.issue("Voordeur", None)
    renewed.write(hosting.world.directory / "tls", "door")
    await hosting.until_said("listener.keys_renewed")
    assert await shown(hosting) == renewed.certificate
    writer.write(b"GET /ebms HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 ")
    writer.close()
    await hosting.deliver("adorp")


async def test_a_listener_keeps_what_it_has_where_the_new_pair_does_not_fit(hosting: Hosting) -> None:
    await hosting.start(look=SOON)
    tls = hosting.world.directory / "tls"
    before, key = leaf(tls / "door.pem"), (tls / "door.key").read_bytes()
    hosting.world.pki.issue("Voordeur", None).write(tls, "other")
    (tls / "door.key").write_bytes((tls / "other.key").read_bytes())
    await hosting.until_said("listener.keys_not_renewed")
    (line,) = hosting.said("listener.keys_not_renewed")
    assert "door.key: this key does not belong to" in line["reason"]
    assert not_renewed(hosting) == 1
    assert await shown(hosting) == before
    await hosting.deliver("adorp")
    (tls / "door.key").write_bytes(key)

    async def is_mended() -> bool:
        return not_renewed(hosting) == 0

    await until(is_mended)
    assert await shown(hosting) == before


# --- the same OIN, under the same CPA


async def test_our_certificate_is_renewed_and_no_message_is_lost(hosting: Hosting) -> None:
    await hosting.start(look=SOON)
    cpa = hosting.authority("adorp").cpa_path.read_bytes()
    sending = asyncio.create_task(announce_many(hosting))
    renewed = spare(hosting, f"from = {datetime.now(UTC).isoformat()}")
    await hosting.until_said("authority.changed")
    numbers = [*await sending, *await announce_many(hosting)]
    await hosting.until_delivered(hosting.authority("adorp").sink, *numbers)
    assert hosting.tenants["adorp"].keys.certificate == renewed.certificate
    assert hosting.authority("adorp").cpa_path.read_bytes() == cpa
    assert await all_acknowledged(hosting)


async def test_the_certificate_of_a_partner_is_renewed_and_no_message_is_lost(hosting: Hosting) -> None:
    await hosting.start()
    numbers = await announce_many(hosting)
    renewed = hosting.world.pki.issue("DSO-LV", DSO_OIN)
    await hosting.dso.msh.use(renewed.key_pair(hosting.world.directory / "tls", "renewed"))
    numbers += await announce_many(hosting)
    await hosting.until_delivered(hosting.authority("adorp").sink, *numbers)
    assert await all_acknowledged(hosting)


# --- another OIN


async def test_another_oin_is_refused_until_the_cpa_is_replaced(hosting: Hosting) -> None:
    await hosting.start()
    await hosting.deliver("adorp")
    issued = hosting.world.pki.issue("DSO-LV", OTHER_OIN)
    keys = issued.key_pair(hosting.world.directory / "tls", "moved")
    stranger = hosting.world.pki.issue("Vreemd", "00000099000000003000")
    answers = []
    for pair in (stranger.key_pair(hosting.world.directory / "tls", "stranger"), keys):
        await hosting.dso.msh.use(pair)
        sent = await hosting.dso.msh.ping(hosting.authority("adorp").cpa_id)
        answers.append((sent.status, sent.response))
    assert answers[0] == answers[1]
    assert answers[1][0] == 403
    assert any(OTHER_OIN in str(line) for line in hosting.logs if line.get("reason") == "peer_unknown")
    path = hosting.authority("adorp").cpa_path
    text = path.read_text().replace(DSO_OIN, OTHER_OIN)
    text = text.replace(encoded(hosting.world.dso_keys.certificate), encoded(issued.certificate))
    old_id = hosting.authority("adorp").cpa_id
    path.write_text(text.replace(old_id.replace(DSO_OIN, OTHER_OIN), old_id))
    hosting.dso.msh.agreements = {
        old_id: agreement_for(parse_cpa(path.read_bytes()), PartyId(OTHER_OIN, OIN_TYPE))
    }
    assert (await hosting.reload())["changed"] == 1
    assert await hosting.is_known("adorp")


# --- planned


async def test_the_certificate_that_a_cpa_names_signs_under_it_also_when_another_is_in_use(
    hosting: Hosting,
) -> None:
    renewed = spare(hosting, 'from = "2020-01-01"')
    await hosting.start()
    tenant = hosting.tenants["adorp"]
    assert tenant.keys.certificate == renewed.certificate
    number = await hosting.deliver("adorp")
    assert await signer_of(hosting, number) == leaf(hosting.world.directory / "tls" / "adorp.pem")
    path = hosting.authority("adorp").cpa_path
    old, new = encoded(tenant.spare_keys[0].certificate), encoded(renewed.certificate)
    path.write_text(path.read_text().replace(old, new))
    hosting.dso.msh.agreements = hosting.world.agreements()
    assert (await hosting.reload())["changed"] == 1
    number = await hosting.deliver("adorp")
    assert await signer_of(hosting, number) == renewed.certificate


async def test_a_certificate_takes_the_place_of_the_first_at_its_moment(hosting: Hosting) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=3)
    renewed = spare(hosting, f"from = {moment.isoformat()}")
    await hosting.start(look=SOON)
    before = hosting.tenants["adorp"]
    assert before.keys.certificate != renewed.certificate
    await hosting.until_said("authority.changed")
    assert hosting.tenants["adorp"].keys.certificate == renewed.certificate
    assert hosting.tenants["adorp"].spare_keys[0].certificate == before.keys.certificate
    assert hosting.daemon.metrics.unexpected_errors_total.labels(kind="reload")._value.get() == 0
    await hosting.deliver("adorp")


async def test_of_several_the_latest_that_came_is_in_use_and_what_expired_is_put_aside(
    hosting: Hosting,
) -> None:
    now = datetime.now(UTC)
    late = spare(hosting, 'from = "2020-02-01"', "late")
    spare(hosting, 'from = "2020-01-01"', "early")
    coming = spare(hosting, f"from = {(now + timedelta(days=5)).isoformat()}", "coming")
    gone = hosting.world.pki.issue("Oud", hosting.authority("adorp").oin, not_after=now - timedelta(hours=1))
    spare(hosting, "", "gone", gone)
    ring = load_key_rings(load_config(hosting.world.config, {}), now)["adorp"]
    assert ring.current.certificate == late.certificate
    assert coming.certificate in [pair.certificate for pair in ring.spare]
    assert gone.certificate not in [pair.certificate for pair in ring.spare]
    assert len(ring.spare) == 3
    assert ring.until == now + timedelta(days=5)


# --- what will end


async def test_what_ends_within_sixty_days_is_said_in_health_and_log_and_everything_in_the_metrics(
    hosting: Hosting,
) -> None:
    now = datetime.now(UTC)
    oin = hosting.authority("adorp").oin
    soon = hosting.world.pki.issue("Gemeente A", oin, not_after=now + timedelta(days=30))
    spare(hosting, "", "soon", soon)
    hosting.world.pki.issue("DSO", oin, not_after=now + timedelta(days=20)).write(
        hosting.world.directory / "tls", "toegang"
    )
    hosting.edit("adorp", "[dso]\n", '[dso]\ncertificate = "tls/toegang.pem"\nkey = "tls/toegang.key"\n')
    await hosting.start()
    await hosting.until_said("agreement.ends_soon")
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{hosting.world.ports.admin}/health/ready"
        async with session.get(url) as response:
            assert response.status == 200
            warnings = (await response.json())["warnings"]
    assert "authority adorp: dso " in warnings[0]
    assert "toegang.pem ends in 19 days" in warnings[0]
    assert "authority adorp: spare " in warnings[1]
    assert not any(warning.startswith("root ") for warning in warnings)
    logged = {(line["kind"], line["authority"]) for line in hosting.said("agreement.ends_soon")}
    assert {("dso", "adorp"), ("spare", "adorp")} <= logged
    everything = {
        ("", "root"),
        ("", "ebms.tls"),
        *((name, kind) for name in ("adorp", "bestad") for kind in ("own", "partner")),
        ("adorp", "spare"),
        ("adorp", "dso"),
    }

    async def is_shown() -> bool:
        shown = hosting.daemon.metrics.certificate_not_after_timestamp_seconds.collect()
        return everything == {(s.labels["authority"], s.labels["kind"]) for one in shown for s in one.samples}

    await until(is_shown)


# --- helpers


def spare(
    hosting: Hosting, line: str, stem: str = "next", issued: IssuedCertificate | None = None
) -> IssuedCertificate:
    """Add spare keys to the authority adorp."""
    issued = issued or hosting.world.pki.issue("Gemeente A", hosting.authority("adorp").oin)
    issued.write(hosting.world.directory / "tls", stem)
    table = f'[[spare_keys]]\ncertificate = "tls/{stem}.pem"\nkey = "tls/{stem}.key"\n{line}\n\n'
    hosting.edit("adorp", "[dso]\n", f"{table}[dso]\n")
    return issued


async def announce_many(hosting: Hosting) -> list[str]:
    return [await hosting.announce("adorp") for _ in range(MANY)]


async def all_acknowledged(hosting: Hosting) -> bool:
    """Whether every message has an acknowledgment, of which the partner finds nothing wrong."""
    for message_id in hosting.dso.msh.sent:
        answer = await hosting.dso.msh.wait_for(message_id)
        assert (answer.action, answer.problems) == ("Acknowledgment", ())
    return True


async def signer_of(hosting: Hosting, number: str) -> x509.Certificate:
    """Whose certificate stands in the acknowledgment of a verzoek, of which the partner finds nothing wrong."""
    sent = next(one for one in hosting.dso.msh.sent.values() if one.conversation_id == number)
    answer = await hosting.dso.msh.wait_for(sent.message_id)
    assert answer.problems == ()
    (shown,) = read_envelope(answer.envelope).root.iter("{http://www.w3.org/2000/09/xmldsig#}X509Certificate")
    return x509.load_der_x509_certificate(base64.b64decode(shown.text or ""))


def leaf(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def encoded(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


async def shown(hosting: Hosting) -> x509.Certificate | None:
    """What the listener shows now."""
    context = client_context(hosting.world.dso_keys, hosting.world.trust)
    _, writer = await asyncio.open_connection("localhost", hosting.world.ports.adapter, ssl=context)
    try:
        return peer_certificate(writer.get_extra_info("ssl_object"))
    finally:
        writer.close()


def not_renewed(hosting: Hosting) -> float:
    return hosting.daemon.metrics.listener_keys_not_reloaded.labels(listener="ebms")._value.get()
