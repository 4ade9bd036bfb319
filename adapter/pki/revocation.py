# SPDX-License-Identifier: EUPL-1.2

"""Revocation: whether any certificate of a chain was revoked, by the lists of all its authorities (GAC ch07, CRT-04).

Asked for each request and signature, so what was found for a chain is kept until a list changes or expires, and for
minutes at most.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, Self, TypeVar

from cryptography import x509

from adapter.pki.crl import crl_urls
from adapter.pki.crls import Crls

Chain = tuple[x509.Certificate, ...]
"""The certificate of a holder, those of its authorities, and the root."""

T = TypeVar("T")

_MAX_KEPT: Final = 4096

_KEPT_FOR: Final = timedelta(minutes=10)
"""How long a verdict counts at most: who asks often enough is then known to be there still."""


class RevocationMode(StrEnum):
    """What is done where it cannot be known whether a certificate was revoked: refuse, pass, or never look."""

    HARD = "hard"
    SOFT = "soft"
    OFF = "off"


class Flaw(StrEnum):
    """Why a chain does not hold."""

    REVOKED = "certificate_revoked"
    MISSING = "crl_missing"
    EXPIRED = "crl_expired"
    UNKNOWN = "chain_unknown"


class Place(StrEnum):
    """Where a chain was shown: by who connects to us, by whom we connect to, or with a signature."""

    TLS_IN = "tls_in"
    TLS_OUT = "tls_out"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a chain; the text is for the operator, and never for the peer."""

    flaw: Flaw
    text: str


class RevocationRefused(Exception):
    """A certificate was revoked, or nobody can say that it was not."""

    def __init__(self, finding: Finding, place: Place, chain: Chain) -> None:
        super().__init__(finding.text)
        self.finding, self.place, self.chain = finding, place, chain

    @property
    def flaw(self) -> Flaw:
        """Why."""
        return self.finding.flaw

    @property
    def is_final(self) -> bool:
        """Whether a newer list cannot change it."""
        return self.flaw is Flaw.REVOKED


@dataclass(frozen=True, slots=True)
class _Verdict:
    version: int
    until: datetime
    finding: Finding | None


async def _nothing_new(_: Chain) -> bool:
    return False


@dataclass(slots=True)
class Revocation:
    """Judges chains; asked from the event loop, where a look-up costs microseconds.

    What calls `check` runs within `with_lists`, which fetches what is missing, and tells of a refusal once it stands.

    `used` is told of each chain that is judged anew, `report` of each that does not hold: where, why, whether it was
    passed all the same, and whether that is news. `obtain` fetches the lists of a chain now, and returns whether any
    came.
    """

    mode: RevocationMode
    crls: Crls
    clock: Callable[[], datetime]
    used: Callable[[Chain], None] = lambda _: None
    report: Callable[[Place, Finding, bool, bool], None] = lambda *_: None
    obtain: Callable[[Chain], Awaitable[bool]] = _nothing_new
    _kept: dict[Chain, _Verdict] = field(default_factory=dict)

    @classmethod
    def off(cls) -> Self:
        """One that never looks."""
        return cls(RevocationMode.OFF, Crls(), lambda: datetime.now(UTC))

    @property
    def is_on(self) -> bool:
        """Whether chains are judged at all."""
        return self.mode is not RevocationMode.OFF

    def check(self, chain: Chain, place: Place) -> None:
        """Judge a chain as it was verified, holder first and root last. Raises RevocationRefused."""
        if not self.is_on:
            return
        kept = self._kept.get(chain)
        is_news = kept is None or kept.version != self.crls.version or self.clock() > kept.until
        if kept is None or is_news:
            self.used(chain)
            kept = self._judge(chain)
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[chain] = kept
        if kept.finding is not None:
            self.settle(kept.finding, place, chain, is_news=is_news)

    def settle(self, finding: Finding, place: Place, chain: Chain = (), *, is_news: bool = True) -> None:
        """Refuse a chain for what was found, unless the mode passes it. Raises RevocationRefused."""
        if self.mode is not RevocationMode.SOFT or finding.flaw is Flaw.REVOKED:
            raise RevocationRefused(finding, place, chain)
        self.report(place, finding, True, is_news)

    async def with_lists(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what checks a chain; where a list is missing or expired, fetch it and do it once more.

        Raises RevocationRefused, and what the work raises.
        """
        try:
            try:
                return await work()
            except RevocationRefused as refused:
                if refused.is_final or not await self.obtain(refused.chain):
                    raise
            return await work()
        except RevocationRefused as refused:
            self.report(refused.place, refused.finding, False, True)
            raise

    async def admit(self, chain: Chain, place: Place) -> None:
        """Judge a chain, fetching its lists where they are not there. Raises RevocationRefused."""

        async def check() -> None:
            self.check(chain, place)

        await self.with_lists(check)

    def finding(self, chain: Chain) -> Finding | None:
        """What is wrong with a chain, as `check` would find it, whatever the mode; told to nobody."""
        return self._judge(chain).finding

    def _judge(self, chain: Chain) -> _Verdict:
        # read first: a list that comes in meanwhile makes this verdict old at once
        version, now = self.crls.version, self.clock()
        if not chain:
            return _Verdict(version, now, Finding(Flaw.UNKNOWN, "its chain of certificates is not known"))
        found: list[Finding] = []
        until = now + _KEPT_FOR
        for certificate, issuer in links(chain):
            crl = self.crls.find(certificate, issuer)
            if crl is not None and not crl.is_expired(now):
                until = min(until, crl.next_update)
            finding = _judge_link(certificate, issuer, self.crls, now)
            if finding is not None:
                found.append(finding)
        worst = next((one for one in found if one.flaw is Flaw.REVOKED), found[0] if found else None)
        return _Verdict(version, until, worst)


def links(chain: Chain) -> Iterator[tuple[x509.Certificate, x509.Certificate]]:
    """Each certificate of a chain with that of its issuer; a root is trusted until it is taken from [trust]."""
    return pairwise(chain)


def _judge_link(
    certificate: x509.Certificate, issuer: x509.Certificate, crls: Crls, now: datetime
) -> Finding | None:
    crl = crls.find(certificate, issuer)
    revoked = crl.revocation(certificate.serial_number) if crl is not None else None
    if crl is not None and revoked is None and not crl.is_expired(now):
        return None
    holder, authority = (repr(one.subject.rfc4514_string()) for one in (certificate, issuer))
    if crl is None:
        urls = crl_urls(certificate)
        where = f"it should be at {' or '.join(urls)}" if urls else "the certificate does not say where it is"
        return Finding(Flaw.MISSING, f"there is no revocation list of {authority} for {holder}; {where}")
    if revoked is not None:
        return Finding(Flaw.REVOKED, f"{holder} was {revoked} by {authority}")
    return Finding(
        Flaw.EXPIRED,
        f"the revocation list of {authority} expired on {crl.next_update:%Y-%m-%d %H:%M}Z, "
        f"so nobody can say that {holder} was not revoked",
    )
