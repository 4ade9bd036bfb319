# SPDX-License-Identifier: EUPL-1.2

"""Helpers for the tests of CPAs: throw-away certificates, drafts, and a way to damage a document."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from cpa import (
    CollaborationProtocolAgreement,
    CpaDraft,
    PartyDraft,
    PartyId,
    Profile,
    Service,
    parse_cpa,
    write_cpa,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OUR_OIN = "00000001001100415000"
THEIR_OIN = "00000003271247010000"


@cache
def _key(size: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


@cache
def certificate(
    oin: str | None = OUR_OIN,
    *,
    host: str = "ebms.voorbeeldstad.example",
    key_size: int = 3072,
    not_before: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    not_after: datetime = datetime(2029, 1, 1, tzinfo=UTC),
    self_signed: bool = False,
    purpose: str = "any",
) -> x509.Certificate:
    """A certificate that nobody trusts; `purpose` only makes it differ from another one."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, host), x509.NameAttribute(NameOID.TITLE, purpose)]
    if oin is not None:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, oin))
    subject = x509.Name(attributes)
    issuer = subject if self_signed else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throw-away CA")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_key(key_size).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(_key(3072), hashes.SHA256())
    )


def party(name: str, oin: str, role: str, host: str, **changes: object) -> PartyDraft:
    fields: dict[str, object] = {
        "name": name,
        "party_id": PartyId(oin, "urn:osb:oin"),
        "role": role,
        "endpoint": f"https://{host}/ebms",
        "signing_certificate": certificate(oin, host=host, purpose="signing"),
        "client_certificate": certificate(oin, host=host, purpose="client"),
        "server_certificate": certificate(oin, host=host, purpose="server"),
        "encryption_certificate": certificate(oin, host=host, purpose="encryption"),
    }
    return PartyDraft(**(fields | changes))  # type: ignore[arg-type]


def them(**changes: object) -> PartyDraft:
    return party("DSO-LV (fictief)", THEIR_OIN, "LOKET", "ebms.loket.example", **changes)


def us(**changes: object) -> PartyDraft:
    return party("Voorbeeldstad (fictief)", OUR_OIN, "BEVOEGDGEZAG", "ebms.voorbeeldstad.example", **changes)


def draft(profile: Profile = Profile.OSB_RM_S, **changes: object) -> CpaDraft:
    fields: dict[str, object] = {
        "cpa_id": "demoMelding_A_B_6b0c2b64",
        "start": datetime(2026, 2, 1, tzinfo=UTC),
        "end": datetime(2028, 12, 31, 23, 59, 59, tzinfo=UTC),
        "first": them(),
        "second": us(),
        "service": Service("demo:melding:1.0", "urn:osb:services"),
        "first_sends": ("aanleverenMelding", "intrekkenMelding"),
        "second_sends": ("bevestigenMelding",),
        "profile": profile,
    }
    return CpaDraft(**(fields | changes))  # type: ignore[arg-type]


Damage = tuple[str, str]


def damaged(text: bytes, *changes: Damage, count: int = -1) -> bytes:
    """The document with texts replaced; each text must occur, so that a test cannot miss its mark."""
    for old, new in changes:
        assert old.encode() in text, old
        text = text.replace(old.encode(), new.encode(), count)
    return text


@pytest.fixture
def written() -> Callable[..., bytes]:
    """Writes the draft of a profile, with changes to its fields."""
    return lambda profile=Profile.OSB_RM_S, **changes: write_cpa(draft(profile, **changes))


@pytest.fixture
def parsed(written: Callable[..., bytes]) -> Callable[..., CollaborationProtocolAgreement]:
    """Writes and parses the draft of a profile; `damage` replaces texts in between."""

    def parse(
        profile: Profile = Profile.OSB_RM_S, *damage: Damage, count: int = -1, **changes: object
    ) -> CollaborationProtocolAgreement:
        return parse_cpa(damaged(written(profile, **changes), *damage, count=count))

    return parse


@pytest.fixture
def make() -> "type[Make]":
    """The functions above, for tests that need more than a finished document."""
    return Make


class Make:
    now = NOW
    our_oin = OUR_OIN
    their_oin = THEIR_OIN
    day = timedelta(days=1)
    certificate = staticmethod(certificate)
    them = staticmethod(them)
    us = staticmethod(us)
    draft = staticmethod(draft)
    damaged = staticmethod(damaged)
