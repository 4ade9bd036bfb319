# SPDX-License-Identifier: EUPL-1.2

"""Judging chains by the lists there are; nothing is fetched here."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from adapter.pki import (
    Chain,
    Crls,
    Finding,
    Flaw,
    Layer,
    Place,
    Revocation,
    RevocationMode,
    RevocationRefused,
    ThrowawayPki,
    TrustStore,
    read_crl,
)

OIN = "00000001001100415000"
DAY = timedelta(days=1)


@dataclass
class Case:
    """A chain, the lists there are, and the time."""

    pki: ThrowawayPki
    mode: RevocationMode = RevocationMode.HARD
    crls: Crls = field(default_factory=Crls)
    later: timedelta = timedelta()
    used: list[Chain] = field(default_factory=list)
    reported: list[tuple[Place, Flaw, bool, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        issued = self.pki.issue("Stad", OIN)
        self.chain = TrustStore([self.pki.root]).verify(issued.certificate, issued.chain, self.pki.now)
        self.revocation = Revocation(self.mode, self.crls, self.clock, self.used.append, self.report)

    def clock(self) -> datetime:
        return self.pki.now + self.later

    def report(self, place: Place, finding: Finding, passed: bool, news: bool) -> None:
        self.reported.append((place, finding.flaw, passed, news))

    def take(
        self, layer: Layer, *revoked: x509.Certificate, start: timedelta = -DAY, end: timedelta = DAY
    ) -> bool:
        octets = self.pki.crl(layer, revoked, start=self.pki.now + start, end=self.pki.now + end)
        issuers = [self.pki.root, self.pki.domain, self.pki.intermediate]
        return self.crls.take(read_crl(octets, issuers, self.clock()), octets)

    def take_all(self, **options: timedelta) -> None:
        for layer in Layer:
            self.take(layer, **options)

    def flaw(self) -> Flaw | None:
        try:
            self.revocation.check(self.chain, Place.TLS_IN)
        except RevocationRefused as refused:
            return refused.flaw
        return None


@pytest.fixture(scope="module", params=["pkcs1", "pss"])
def pki(request: pytest.FixtureRequest) -> ThrowawayPki:
    return ThrowawayPki(pss=request.param == "pss", crl_bases=["http://crl.voorbeeld.example"])


@pytest.fixture
def case(pki: ThrowawayPki) -> Case:
    return Case(pki)


def test_a_chain_of_which_every_list_is_there_holds(case: Case) -> None:
    case.take_all()
    assert case.flaw() is None


def test_a_revoked_holder_is_refused(case: Case) -> None:
    case.take_all()
    case.take(Layer.TSP, case.chain[0])
    assert case.flaw() is Flaw.REVOKED


@pytest.mark.parametrize(("layer", "number"), [(Layer.DOMAIN, 1), (Layer.ROOT, 2)])
def test_a_revoked_authority_is_refused(case: Case, layer: Layer, number: int) -> None:
    case.take_all()
    case.take(layer, case.chain[number])
    assert case.flaw() is Flaw.REVOKED


@pytest.mark.parametrize("absent", list(Layer))
def test_a_list_that_is_not_there_refuses(case: Case, absent: Layer) -> None:
    for layer in set(Layer) - {absent}:
        case.take(layer)
    assert case.flaw() is Flaw.MISSING


def test_what_is_missing_and_where_it_should_be_is_said(case: Case) -> None:
    with pytest.raises(
        RevocationRefused, match=r"'CN=Throw-away TSP CA,.* at http://crl\.voorbeeld\.example/tsp"
    ):
        case.revocation.check(case.chain, Place.TLS_IN)


def test_a_list_that_expires_refuses_from_that_moment(case: Case) -> None:
    case.take_all()
    case.take(Layer.DOMAIN, end=timedelta(hours=1))
    case.later = timedelta(hours=1)
    assert case.flaw() is None
    case.later += timedelta(seconds=1)
    assert case.flaw() is Flaw.EXPIRED


def test_a_newer_list_lifts_the_refusal_at_once(case: Case) -> None:
    case.take_all(end=timedelta(hours=1))
    case.later = timedelta(hours=2)
    assert case.flaw() is Flaw.EXPIRED
    case.take_all(start=timedelta(), end=DAY)
    assert case.flaw() is None


def test_a_newer_list_revokes_at_once(case: Case) -> None:
    case.take_all()
    assert case.flaw() is None
    case.take(Layer.TSP, case.chain[0], start=timedelta())
    assert case.flaw() is Flaw.REVOKED


def test_an_older_list_does_not_take_the_place_of_a_newer(case: Case) -> None:
    case.take_all()
    case.take(Layer.TSP, case.chain[0], start=timedelta())
    assert not case.take(Layer.TSP, start=-2 * DAY)
    assert case.flaw() is Flaw.REVOKED


def test_what_an_expired_list_revoked_stays_revoked(case: Case) -> None:
    case.take_all()
    case.take(Layer.TSP, case.chain[0], end=timedelta(hours=1))
    case.later = timedelta(hours=2)
    assert case.flaw() is Flaw.REVOKED


def test_the_list_of_another_issuer_of_the_same_name_does_not_count(case: Case) -> None:
    other = ThrowawayPki()
    case.take(Layer.ROOT)
    case.take(Layer.DOMAIN)
    octets = other.crl(Layer.TSP)
    assert case.crls.take(read_crl(octets, [other.intermediate], case.clock()), octets)
    assert case.flaw() is Flaw.MISSING


def test_several_roots_at_a_time(case: Case) -> None:
    new = ThrowawayPki(pss=True, name="Successor")
    trust = TrustStore([case.pki.root, new.root])
    issued = new.issue("Stad", OIN)
    chain = trust.verify(issued.certificate, issued.chain, new.now)
    case.take_all()
    assert case.flaw() is None
    with pytest.raises(RevocationRefused):
        case.revocation.check(chain, Place.SIGNATURE)
    for layer in Layer:
        octets = new.crl(layer)
        case.crls.take(read_crl(octets, trust.authorities + issued.chain, new.now), octets)
    case.revocation.check(chain, Place.SIGNATURE)


def test_soft_passes_what_cannot_be_known_and_says_so(pki: ThrowawayPki) -> None:
    case = Case(pki, RevocationMode.SOFT)
    assert case.flaw() is None
    assert case.flaw() is None
    assert case.reported == [
        (Place.TLS_IN, Flaw.MISSING, True, True),
        (Place.TLS_IN, Flaw.MISSING, True, False),
    ]


def test_soft_refuses_what_was_revoked(pki: ThrowawayPki) -> None:
    case = Case(pki, RevocationMode.SOFT)
    case.take(Layer.TSP, case.chain[0])
    assert case.flaw() is Flaw.REVOKED


def test_off_never_looks(pki: ThrowawayPki) -> None:
    case = Case(pki, RevocationMode.OFF)
    case.take(Layer.TSP, case.chain[0])
    assert case.flaw() is None
    assert case.used == case.reported == []


def test_a_chain_is_judged_once_until_a_list_changes(case: Case) -> None:
    case.take_all()
    assert [case.flaw() for _ in range(3)] == [None] * 3
    assert case.used == [case.chain]
    case.take(Layer.TSP, start=timedelta())
    assert case.flaw() is None
    assert case.used == [case.chain] * 2


def test_a_chain_that_is_not_known_is_refused(case: Case) -> None:
    with pytest.raises(RevocationRefused, match="not known"):
        case.revocation.check((), Place.TLS_IN)


async def test_a_missing_list_is_fetched_and_the_chain_judged_again(case: Case) -> None:
    async def obtain(chain: Chain) -> bool:
        assert chain == case.chain
        case.take_all()
        return True

    case.revocation.obtain = obtain
    await case.revocation.admit(case.chain, Place.TLS_IN)


async def test_nothing_is_fetched_for_a_revoked_certificate(case: Case) -> None:
    async def obtain(_: Chain) -> bool:
        raise AssertionError("a newer list cannot change it")

    case.revocation.obtain = obtain
    case.take(Layer.TSP, case.chain[0])
    with pytest.raises(RevocationRefused):
        await case.revocation.admit(case.chain, Place.TLS_IN)


def test_lists_on_disk_serve_after_a_restart(pki: ThrowawayPki, tmp_path: Path) -> None:
    before = Case(pki, crls=Crls(tmp_path / "crls"))
    before.take_all()
    before.take(Layer.TSP, before.chain[0], start=timedelta())
    after = Case(pki, crls=Crls(tmp_path / "crls"))
    assert after.crls.load(pki.now) == ()
    assert after.flaw() is None
    with pytest.raises(RevocationRefused, match="keyCompromise"):
        after.revocation.check(before.chain, Place.TLS_IN)


def test_a_list_on_disk_that_was_changed_is_not_used(pki: ThrowawayPki, tmp_path: Path) -> None:
    Case(pki, crls=Crls(tmp_path)).take(Layer.TSP)
    (path,) = tmp_path.glob("*.crl")
    octets = path.read_bytes()
    path.write_bytes(octets[:-1] + bytes([octets[-1] ^ 1]))
    crls = Crls(tmp_path)
    (problem,) = crls.load(pki.now)
    assert str(path) in problem
    assert crls.all() == ()


def test_a_torn_write_leaves_the_list_that_was_there(
    pki: ThrowawayPki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(pki, crls=Crls(tmp_path))
    case.take(Layer.TSP)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapter.pki.crls.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        case.take(Layer.TSP, case.chain[0], start=timedelta())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert case.crls.of(pki.intermediate)[0].revocation(case.chain[0].serial_number) is not None
