# SPDX-License-Identifier: EUPL-1.2

"""Keeping revocation lists fresh: of every authority in a chain that is in use, at least every four hours (CRT-05).

Where a list is to be had, the certificates of verified chains say, and the configuration; nothing else makes a request.
"""

import asyncio
import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from adapter.admin import Trouble
from adapter.config import OutgoingConfig, RevocationConfig
from adapter.daemon.chains import ChainsInUse, Shown, partners_in
from adapter.daemon.crl_source import (
    Key,
    Links,
    Source,
    download_crl,
    issuer_label,
    lists_of,
    next_fetch,
    next_retry,
)
from adapter.net import NetProblem
from adapter.observe import Metrics, get_logger
from adapter.pki import (
    Chain,
    Crl,
    CrlProblem,
    Finding,
    Flaw,
    NotTrusted,
    Place,
    Revocation,
    RevocationMode,
    TrustStore,
    crl_urls,
    issuer_id,
    links,
    oin_of,
    read_crl,
)

log = get_logger(__name__)

PATIENCE: Final = timedelta(seconds=10)
"""How long a request waits for a list that is not there yet."""

MAX_SOURCES: Final = 256
"""How many places of lists are known at a time; PKIoverheid has a few dozen."""

_AT_A_TIME: Final = 4
_LOOK: Final = 30.0
"""Seconds between two looks at what is due."""

_CHAINS: Final = timedelta(minutes=10)
"""Between two looks at the chains in use, when no agreement changed: authorities become known meanwhile."""

_FORGOTTEN: Final = timedelta(days=2)
_AGAIN: Final = timedelta(hours=1)


@dataclass(slots=True)
class CrlFetcher:
    """Fetches lists in the background, and at once for who waits for one; without `chains` only that."""

    revocation: Revocation
    trust: TrustStore
    settings: RevocationConfig
    outgoing: OutgoingConfig
    metrics: Metrics
    chains: ChainsInUse | None = None
    chance: Callable[[], float] = random.random
    _sources: dict[Key, Source] = field(default_factory=dict)
    _running: dict[Key, asyncio.Task[None]] = field(default_factory=dict)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_A_TIME))
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _in_use: tuple[tuple[Shown, Chain], ...] = ()
    _wanted: Links = field(default_factory=dict)
    _revoked: tuple[tuple[Shown, Finding], ...] = ()
    _judged: object = None
    _found_for: object = None
    _found_at: datetime | None = None
    _said: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _of_oin: defaultdict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        """Have every chain that is judged told here."""
        self.revocation.used = self.used
        self.revocation.obtain = self.obtain
        self.revocation.report = self.report

    @property
    def sources(self) -> Sequence[Source]:
        """What is fetched."""
        return tuple(self._sources.values())

    # --- what is in use

    def used(self, chain: Chain) -> None:
        """A chain is in use: its lists are kept fresh from now on."""
        self.trust.learn(chain)
        if chain and (oin := oin_of(chain[0])) is not None:
            self._of_oin[oin] |= lists_of([chain]).keys()
        for certificate, issuer in links(chain):
            self._want(crl_urls(certificate), certificate, issuer)

    def report(self, place: Place, finding: Finding, passed: bool, news: bool) -> None:
        """A chain does not hold."""
        outcome = "passed" if passed else "refused"
        self.metrics.revocation_total.labels(place=place, reason=finding.flaw, outcome=outcome).inc()
        if passed and news:
            log.warning(
                "a certificate is accepted though it may have been revoked",
                action="revocation.passed",
                place=place,
                reason=finding.flaw,
                detail=finding.text,
            )

    def _want(
        self, urls: tuple[str, ...], sample: x509.Certificate | None, issuer: x509.Certificate | None
    ) -> Source | None:
        now = self.revocation.clock()
        key = (issuer_id(issuer) if issuer is not None else b"", urls)
        source = self._sources.get(key)
        if source is None:
            if len(self._sources) >= MAX_SOURCES:
                self._say_once("crl.too_many", "", "not all revocation lists are fetched", most=MAX_SOURCES)
                return None
            label = issuer_label(issuer) if issuer is not None else urls[0]
            source = self._sources[key] = Source(label, urls, sample, issuer, now, now, now)
            self._woken.set()
        source.seen, source.sample = now, sample
        return source

    async def _look(self) -> None:
        """Find what is in use, and forget what is not any more."""
        if self.chains is not None:
            await self._look_at(self.chains)
        now = self.revocation.clock()
        for (_, urls), (sample, issuer) in self._wanted.items():
            self._want(urls, sample, issuer)
        for url in self.settings.urls:
            self._want((url,), None, None)
        for key, source in list(self._sources.items()):
            if now - source.seen > _FORGOTTEN:
                del self._sources[key]
                self.metrics.forget_issuer(source.label)
        # what a partner showed counts for as long as its lists are kept fresh
        known = {oin: keys & self._sources.keys() for oin, keys in self._of_oin.items()}
        self._of_oin = defaultdict(set, {oin: keys for oin, keys in known.items() if keys})

    async def _look_at(self, chains: ChainsInUse) -> None:
        now, snapshot = self.revocation.clock(), chains.authorities()
        if self._found_for is not snapshot or self._found_at is None or now - self._found_at >= _CHAINS:
            self._in_use = await asyncio.to_thread(chains.find)
            self._wanted = await asyncio.to_thread(lists_of, [chain for _, chain in self._in_use])
            self._found_for, self._found_at = snapshot, now
        judged = (self.revocation.crls.version, self._in_use)
        if judged != self._judged:
            self._revoked, self._judged = await asyncio.to_thread(self._find_revoked), judged

    def _find_revoked(self) -> tuple[tuple[Shown, Finding], ...]:
        """Certificates of our own that were revoked. Blocking."""
        findings = ((shown, self.revocation.finding(chain)) for shown, chain in self._in_use if shown.own)
        return tuple(
            (shown, finding)
            for shown, finding in findings
            if finding is not None and finding.flaw is Flaw.REVOKED
        )

    def list_of(self, source: Source) -> Crl | None:
        """The list that a source is there for."""
        if source.sample is None or source.issuer is None:
            return source.held
        return self.revocation.crls.find(source.sample, source.issuer)

    # --- what is fetched

    async def watch(self) -> None:
        """Keep the lists fresh until cancelled."""
        try:
            while True:
                self._woken.clear()
                try:
                    await self.tick()
                except Exception:  # a list that is not fetched refuses partners: whatever it is, go on
                    log.exception("the revocation lists cannot be looked after", action="crl.watch_failed")
                    self.metrics.unexpected_errors_total.labels(kind="crl").inc()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await self._woken.wait()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def tick(self) -> None:
        """Begin to fetch what is due, and tell how all lists are."""
        await self._look()
        now = self.revocation.clock()
        for key, source in self._sources.items():
            if source.due <= now and source.urls:
                self._start(key, source)
        self._tell(now)

    async def finished(self) -> None:
        """Wait for what is being fetched."""
        await asyncio.gather(*self._running.values())

    async def obtain(self, chain: Chain) -> bool:
        """Fetch now what is missing of a chain, unless that just failed; return whether anything came in time."""
        version, now = self.revocation.crls.version, self.revocation.clock()
        waited: set[asyncio.Task[None]] = set()
        for certificate, issuer in links(chain):
            urls = crl_urls(certificate)
            source = self._want(urls, certificate, issuer)
            key = (issuer_id(issuer), urls)
            if source is None or not urls or self._is_fresh(source, now):
                continue
            if key in self._running or source.failures == 0 or source.due <= now:
                waited.add(self._start(key, source))
        if waited:
            await asyncio.wait(waited, timeout=PATIENCE.total_seconds())
        return self.revocation.crls.version != version

    def _is_fresh(self, source: Source, now: datetime) -> bool:
        crl = self.list_of(source)
        return crl is not None and not crl.is_expired(now)

    def _start(self, key: Key, source: Source) -> asyncio.Task[None]:
        """Fetch, unless that is being done."""
        if key not in self._running:
            task = asyncio.create_task(self._fetch(source), name=f"crl {source.label}")
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key))
        return self._running[key]

    async def _fetch(self, source: Source) -> None:
        problems: list[str] = []
        async with self._gate:
            for url in source.urls:
                try:
                    octets = await download_crl(url, self.outgoing, self.settings.max_size)
                    crl = await asyncio.to_thread(self._take, source, octets)
                except CrlProblem as problem:
                    problems.append(f"{url}: {problem}")
                except NetProblem as problem:
                    problems.append(str(problem))
                except Exception as problem:  # it is tried again, and said
                    log.exception("a revocation list cannot be fetched", action="crl.fetch_crashed", url=url)
                    self.metrics.unexpected_errors_total.labels(kind="crl").inc()
                    problems.append(f"{url}: {type(problem).__name__}")
                else:
                    return self._succeeded(source, crl)
        return self._failed(source, "; ".join(problems))

    def _take(self, source: Source, octets: bytes) -> Crl:
        """Use a list that was fetched. Blocking. Raises CrlProblem."""
        now, digest = self.revocation.clock(), hashlib.sha256(octets).digest()
        crl = self.list_of(source) if digest == source.digest else None
        if crl is None:
            issuers = [source.issuer] if source.issuer is not None else self.trust.authorities
            crl = read_crl(octets, issuers, now)
            try:
                taken = self.revocation.crls.take(crl, octets)
            except OSError:  # it is in use all the same
                taken = True
                log.exception(
                    "a revocation list cannot be kept for the next start; make room, or correct the rights of `state`",
                    action="crl.not_kept",
                    issuer=source.label,
                )
            if not taken:
                raise CrlProblem("is older than the list in use")
            source.held, source.digest = crl, digest
        if source.sample is not None and not crl.covers(source.sample):
            raise CrlProblem("is about other certificates of its issuer")
        if crl.is_expired(now):
            raise CrlProblem(f"expired on {crl.next_update:%Y-%m-%d %H:%M}Z")
        return crl

    def _succeeded(self, source: Source, crl: Crl) -> None:
        now = self.revocation.clock()
        if source.failures or source.fetched is None:
            log.info(
                "a revocation list was fetched",
                action="crl.fetched",
                issuer=source.label,
                entries=len(crl),
                next_update=crl.next_update.isoformat(),
            )
        source.failures, source.problem, source.fetched = 0, None, now
        source.due = next_fetch(now, crl, self.settings.refresh, self.chance())
        self.metrics.crl_fetches_total.labels(issuer=source.label, outcome="fetched").inc()
        self._tell(now)

    def _failed(self, source: Source, problem: str) -> None:
        now, crl = self.revocation.clock(), self.list_of(source)
        source.failures, source.problem = source.failures + 1, problem
        source.due = next_retry(now, source.failures, self.chance())
        self.metrics.crl_fetches_total.labels(issuer=source.label, outcome="failed").inc()
        stale = source.is_stale(now, crl, self.settings.refresh)
        report = log.error if stale else log.warning
        report(
            "a revocation list cannot be renewed and will refuse partners, or does so now"
            if stale
            else "a revocation list could not be fetched; it is tried again",
            action="crl.stale" if stale else "crl.fetch_failed",
            issuer=source.label,
            reason=problem,
            failures=source.failures,
            next_update=crl.next_update.isoformat() if crl is not None else None,
        )
        self._tell(now)

    # --- what is told

    async def troubles(self) -> list[Trouble]:
        """What refuses partners, or is refused by them, each with what mends it; nothing does in soft mode."""
        if self.revocation.mode is not RevocationMode.HARD:
            return []
        now = self.revocation.clock()
        found = {
            key: trouble
            for key, source in self._sources.items()
            if (trouble := source.trouble(now, self.list_of(source))) is not None
        }
        stopped = await asyncio.to_thread(self._stopped, frozenset(found)) if found else {}
        return [
            Trouble(text, self._sources[key].label, stopped.get(key, frozenset()))
            for key, text in found.items()
        ] + [
            Trouble(f"{shown.name}: {finding.text}", shown.name, shown.stops)
            for shown, finding in self._revoked
        ]

    def _stopped(self, bad: frozenset[Key]) -> dict[Key, frozenset[str]]:
        """The authorities of which every agreement has a partner that lists which are not there refuse. Blocking."""
        if self.chains is None:
            return {}
        needed: dict[x509.Certificate, frozenset[Key]] = {}
        hit: defaultdict[str, set[Key]] = defaultdict(set)
        free: set[str] = set()
        for known in self.chains.authorities().agreements():
            lists: set[Key] = set()
            for oin in known.connecting_oins:
                lists |= self._of_oin.get(oin, set()) & bad
            for shown in partners_in([known.agreement]):
                if shown.certificate not in needed:
                    needed[shown.certificate] = self._lists_for(shown)
                lists |= needed[shown.certificate] & bad
            hit[known.authority] |= lists
            if not lists:
                free.add(known.authority)
        return {
            key: frozenset(name for name, keys in hit.items() if key in keys and name not in free)
            for key in bad
        }

    def _lists_for(self, shown: Shown) -> frozenset[Key]:
        try:
            return frozenset(lists_of([shown.chain(self.trust, self.revocation.clock())]))
        except NotTrusted:  # nobody showed its authorities yet
            return frozenset()

    def _tell(self, now: datetime) -> None:
        for source in self.sources:
            crl = self.list_of(source)
            ends = crl.next_update.timestamp() if crl is not None else 0
            self.metrics.crl_next_update_timestamp_seconds.labels(issuer=source.label).set(ends)
            if crl is not None:
                made = crl.this_update.timestamp()
                self.metrics.crl_this_update_timestamp_seconds.labels(issuer=source.label).set(made)
            if crl is not None and crl.is_expired(now):
                self._say_once(
                    "crl.expired",
                    source.label,
                    "a revocation list expired: everybody under its issuer is refused",
                    issuer=source.label,
                    reason=source.problem,
                )
        for shown, finding in self._revoked:
            self._say_once(
                "certificate.revoked",
                shown.name,
                "a certificate of ours was revoked: ask for a new one",
                name=shown.name,
                reason=finding.text,
            )

    def _say_once(self, action: str, about: str, text: str, **facts: object) -> None:
        """Alarm, and not again for an hour."""
        now = self.revocation.clock()
        last = self._said.get((action, about))
        if last is None or now - last >= _AGAIN:
            self._said[action, about] = now
            log.error(text, action=action, **facts)
