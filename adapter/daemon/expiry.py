# SPDX-License-Identifier: EUPL-1.2

"""What will end: every certificate and agreement that something depends on, in metrics, health and log in time.

A new certificate takes weeks to get, and a new CPA weeks to agree (LCY-03, LCY-07).
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from adapter.admin import WARNING, Ending, Trouble
from adapter.authorities import Authorities
from adapter.config import AuthorityConfig, Config, KeyFiles
from adapter.daemon.listener_keys import ListenerKeys
from adapter.daemon.tenants import Tenants
from adapter.observe import Metrics, get_logger
from adapter.pki import KeyPair, KeyProblem, TrustStore
from cpa import CpaError

log = get_logger(__name__)

_EVERY: Final = 5.0
"""Seconds between two looks at whether anything changed."""

_NOBODY: Final = ""
"""The authority of what belongs to all of them."""


@dataclass(slots=True)
class Expiry:
    """Follows what ends. `listeners` gives the certificates of those that are open with TLS."""

    tenants: Tenants
    authorities: Callable[[], Authorities]
    listeners: Callable[[], Iterable[ListenerKeys]]
    trust: TrustStore
    metrics: Metrics
    clock: Callable[[], datetime]
    _endings: tuple[Ending, ...] = ()
    _looked: bool = False
    _shown: set[tuple[str, str]] = field(default_factory=set)
    _today: date | None = None
    _said: set[Ending] = field(default_factory=set)

    @property
    def has_looked(self) -> bool:
        """Whether it is known by now what ends."""
        return self._looked

    async def troubles(self) -> list[Trouble]:
        """What ends within 60 days, or has ended, the soonest first."""
        now = self.clock()
        return [
            Trouble(ending.warning(now), ending.authority or ending.what)
            for ending in self._endings
            if ending.end <= now + WARNING
        ]

    def endings(self) -> tuple[Ending, ...]:
        """Everything that ends one day, the soonest first."""
        return self._endings

    async def watch(self) -> None:
        """Keep metrics up to date, and warn once a day, until cancelled."""
        before: list[object] = []
        while True:
            now = self.clock()
            # what these are made of never changes: whatever is other than before is another object
            parts: list[object] = [self.tenants.current(), self.authorities()]
            parts += [listener.pairs for listener in self.listeners()]
            if [id(part) for part in parts] != [id(part) for part in before]:
                try:
                    await self.look()
                except OSError as problem:  # as when no file descriptors are left, which passes
                    log.warning(
                        "what ends soon cannot be looked at now; it is tried again",
                        action="certificate.not_looked_at",
                        reason=str(problem),
                    )
                else:
                    before = parts
            self._warn(now)
            await asyncio.sleep(_EVERY)

    async def look(self) -> None:
        """See what there is now, and say in metrics when it ends."""
        config, authorities = self.tenants.config(), self.authorities()
        found = [*_of_all(self.trust, self.listeners()), *_of_agreements(authorities)]
        for name, tenant in self.tenants.current().items():
            found += [_of_pair("own", name, tenant.keys)]
            found += [_of_pair("spare", name, pair) for pair in tenant.spare_keys]
        found += await asyncio.to_thread(lambda: list(_of_tables(config)))
        self._endings = tuple(sorted(found, key=lambda ending: ending.end))
        self._looked = True
        self._show()

    def _show(self) -> None:
        gauge = self.metrics.certificate_not_after_timestamp_seconds
        soonest: dict[tuple[str, str], datetime] = {}
        for ending in self._endings:
            # that of an agreement, and our own, is shown as soon as it is in use
            if ending.kind not in {"agreement", "own"}:
                soonest.setdefault((ending.authority, ending.kind), ending.end)
        for (authority, kind), end in soonest.items():
            gauge.labels(authority=authority, kind=kind).set(end.timestamp())
        for authority, kind in self._shown - soonest.keys():
            gauge.remove_by_labels({"authority": authority, "kind": kind})
        self._shown = set(soonest)

    def _warn(self, now: datetime) -> None:
        if self._today != now.date():
            self._today, self._said = now.date(), set()
        for ending in self._endings:
            if ending.end <= now + WARNING and ending not in self._said:
                self._said.add(ending)
                log.warning(
                    "ends soon: agree on a successor and install it in time",
                    action="agreement.ends_soon",
                    authority=ending.authority or None,
                    kind=ending.kind,
                    what=ending.what,
                    end=ending.end.isoformat(),
                )


def _of_pair(kind: str, authority: str, pair: KeyPair) -> Ending:
    return Ending(kind, authority, str(pair.certificate_path), pair.certificate.not_valid_after_utc)


def _of_all(trust: TrustStore, listeners: Iterable[ListenerKeys]) -> Iterator[Ending]:
    for root in trust.roots:
        yield Ending("root", _NOBODY, root.subject.rfc4514_string(), root.not_valid_after_utc)
    for listener in listeners:
        for pair in listener.pairs:
            yield _of_pair(f"{listener.name}.tls", _NOBODY, pair)


def _of_agreements(authorities: Authorities) -> Iterator[Ending]:
    for known in authorities.agreements():
        yield Ending("agreement", known.authority, known.cpa_id, known.agreement.end)
        ends: dict[str, datetime] = {}
        for certificate, purpose in known.agreement.them.certificates_in_use():
            try:
                end = certificate.x509.not_valid_after_utc
            except CpaError:  # was found, and said, when the agreement was read
                continue
            ends[purpose] = min(end, ends.get(purpose, end))
        for purpose, end in ends.items():
            yield Ending("partner", known.authority, f"{known.cpa_id} ({purpose})", end)


def _of_tables(config: Config) -> Iterator[Ending]:
    """The certificates that the APIs of DSO-LV and the sinks are asked with. Blocking."""
    for name, authority in config.authorities.items():
        for kind, files in _files(config, authority):
            try:
                yield _of_pair(kind, name, files.load(strict=False))
            except KeyProblem:  # said by whoever uses it, at start and at each reload
                continue


def _files(config: Config, authority: AuthorityConfig) -> Iterator[tuple[str, KeyFiles]]:
    for kind, table in (("dso", authority.dso), ("publish", authority.publish)):
        if table is not None and table.own_keys is not None:
            yield kind, table.own_keys
    for sink in authority.sinks.values():
        named = _paths(config.base, sink)
        if "certificate" in named and ("key" in named or named["certificate"].suffix in {".p12", ".pfx"}):
            yield "sink", KeyFiles.model_validate(named)


def _paths(base: Path, sink: Mapping[str, Any]) -> dict[str, Path]:
    options = ("certificate", "key", "key_password_file")
    return {name: base / sink[name] for name in options if isinstance(sink.get(name), str)}
