# SPDX-License-Identifier: EUPL-1.2

"""The checks of revocation lists: each can be had now, and says what it should of our certificates and of partners'."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509

from adapter.cli.check_cpas import Candidate
from adapter.cli.check_keys import Keys
from adapter.cli.check_line import Line, failed, ok, warning, wrong
from adapter.config import Config, Environment
from adapter.daemon import Shown, configured, download_crl, ours, partners_in
from adapter.net import NetProblem
from adapter.pki import (
    Chain,
    CrlProblem,
    Crls,
    Flaw,
    NotTrusted,
    Revocation,
    RevocationMode,
    TrustStore,
    crl_urls,
    issuer_id,
    links,
    read_crl,
)
from adapter.views.certificates import holder_name
from cpa import Agreement, CpaError, agreement_for, parse_cpa

_AT_A_TIME: Final = 4


async def check_crls(
    config: Config, trust: TrustStore, keys: Keys, candidates: Sequence[Candidate], now: datetime
) -> list[Line]:
    """Fetch every list that the daemon will need, and say how old it is and what it revokes."""
    if config.revocation is RevocationMode.OFF:
        if config.environment is Environment.TEST:
            return []
        return [warning("crl", "trust.revocation", "off: nobody looks whether certificates were revoked")]
    look = _Look(config, trust, now)
    own = (ours(name, pair) for name, pair in keys.items())
    partners = partners_in(_agreements(config, candidates))
    chains = list(look.chains([*configured(config), *own, *partners]))
    await look.fetch(chains)
    return look.lines + list(look.judged(chains))


@dataclass(slots=True)
class _Look:
    config: Config
    trust: TrustStore
    now: datetime
    crls: Crls = field(default_factory=Crls)
    lines: list[Line] = field(default_factory=list)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_A_TIME))

    def chains(self, shown: Iterable[Shown]) -> Iterator[tuple[Shown, Chain]]:
        """The chain of each; where a partner's cannot be built, that is said."""
        for one in shown:
            try:
                chain = one.chain(self.trust, self.now)
            except NotTrusted as problem:
                if not one.own:  # of ours it was said before
                    fix = "name its authorities under [trust] intermediates, unless the partner sends them along"
                    self.lines.append(warning("crl", one.name, f"{problem}; {fix}"))
                continue
            self.trust.learn(chain)
            yield one, chain

    async def fetch(self, chains: Iterable[tuple[Shown, Chain]]) -> None:
        """Fetch the list of every link, from each of its addresses, and those of the configuration."""
        wanted: dict[tuple[bytes, str], x509.Certificate] = {}
        silent: dict[bytes, x509.Certificate] = {}
        for _, chain in chains:
            for certificate, issuer in links(chain):
                urls = crl_urls(certificate)
                wanted |= {(issuer_id(issuer), url): issuer for url in urls}
                if not urls:
                    silent[issuer_id(issuer)] = issuer
        fetches = [self._fetch(url, [issuer]) for (_, url), issuer in wanted.items()]
        fetches += [self._fetch(url, self.trust.authorities) for url in self.config.trust.revocation.urls]
        self.lines += await asyncio.gather(*fetches)
        for issuer in silent.values():
            if not self.crls.of(issuer):
                text = f"certificates of {holder_name(issuer)} do not say where its list is"
                fix = "name the address under [trust.revocation] urls"
                say = wrong if self.config.revocation is RevocationMode.HARD else warning
                self.lines.append(say("crl", holder_name(issuer), f"{text}; {fix}"))

    async def _fetch(self, url: str, issuers: Sequence[x509.Certificate]) -> Line:
        settings = self.config.trust.revocation
        try:
            async with self._gate:
                octets = await download_crl(url, self.config.outgoing, settings.max_size)
                crl = await asyncio.to_thread(read_crl, octets, issuers, self.now)
        except (NetProblem, CrlProblem) as problem:
            return failed(
                "crl", url, f"{problem}; let the daemon reach it, through [outgoing] proxy if need be"
            )
        self.crls.take(crl, octets)
        age = (self.now - crl.this_update).total_seconds() / 3600
        facts = f"of {holder_name(crl.issuer)}, {age:.0f} hours old, {len(crl)} revoked"
        until = f"next by {crl.next_update:%Y-%m-%d %H:%M}Z"
        if crl.is_expired(self.now):
            return failed("crl", url, f"{facts}, expired: {until}; ask its authority, or look at the proxy")
        return ok("crl", url, f"{facts}, {until}")

    def judged(self, chains: Iterable[tuple[Shown, Chain]]) -> Iterator[Line]:
        """Who was revoked; what is missing was said of the list."""
        revocation = Revocation(RevocationMode.HARD, self.crls, lambda: self.now)
        for shown, chain in chains:
            finding = revocation.finding(chain)
            if finding is not None and finding.flaw is Flaw.REVOKED:
                fix = (
                    "ask for a new certificate"
                    if shown.own
                    else "ask the partner for a new certificate and CPA"
                )
                yield failed("crl", shown.name, f"{finding.text}; {fix}")


def _agreements(config: Config, candidates: Iterable[Candidate]) -> Iterator[Agreement]:
    for candidate in candidates:
        authority = config.authorities.get(candidate.authority)
        if authority is not None:
            with suppress(CpaError):  # said before
                yield agreement_for(parse_cpa(candidate.document), authority.party_id)
