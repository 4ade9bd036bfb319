# SPDX-License-Identifier: EUPL-1.2

"""The registry: the current snapshot of authorities, renewed when the agreements in the store change.

A CPA file of the configuration is imported at start and when it changes; a CPA that is added or withdrawn later, by
this process or another, is noticed within seconds. A message that is being judged keeps the snapshot it started with.
"""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from adapter.authorities import (
    AgreementDocument,
    Authorities,
    AuthorityProblem,
    KnownAgreements,
    build_authorities,
)
from adapter.config import Config, ConfigProblem
from adapter.observe import Metrics, get_logger
from adapter.pki import KeyPair
from adapter.store import (
    CpaOwnedByOther,
    Database,
    ImportResult,
    StoreProblem,
    active_agreements,
    agreements_version,
    import_cpa_file,
    is_imported,
    replaced_agreements,
)
from cpa import CpaError, parse_cpa

log = get_logger(__name__)

_QUIET = 1.0
"""Seconds between two looks at the agreements: under traffic the store changes many times a second."""

_IDLE = 30.0

_MEMORY = timedelta(days=400)
"""How far back replaced agreements are looked at; each counts for as long as its own PersistDuration says."""


def _documents(conn: Connection, since: datetime) -> list[AgreementDocument]:
    """The agreements in use, and those that were replaced since then."""
    rows = (*replaced_agreements(conn, since), *active_agreements(conn))
    return [AgreementDocument(row.authority, row.cpa_id, row.document, row.active_until) for row in rows]


@dataclass(frozen=True, slots=True)
class _CpaFile:
    """A CPA file that is other than it was."""

    path: Path
    digest: str
    cpa_id: str
    document: bytes


def _import_all(
    conn: Connection, authority: str, files: Sequence[_CpaFile], now: datetime
) -> list[ImportResult]:
    return [
        import_cpa_file(conn, authority, file.path, file.digest, file.cpa_id, file.document, now)
        for file in files
    ]


@dataclass(slots=True)
class Registry:
    """Holds the snapshot; `current` is what everybody asks for the authorities of the moment."""

    config: Callable[[], Config]
    keys: Callable[[], Mapping[str, KeyPair]]
    db: Database
    metrics: Metrics
    clock: Callable[[], datetime]
    problems: tuple[str, ...] = ()
    spare_keys: Callable[[str], tuple[KeyPair, ...]] = lambda _: ()
    _snapshot: Authorities = field(default_factory=lambda: Authorities({}))
    _built_for: Config | None = None
    _built_with: Mapping[str, KeyPair] | None = None
    _agreements: KnownAgreements = field(default_factory=KnownAgreements)
    _building: asyncio.Lock = field(default_factory=asyncio.Lock)

    def current(self) -> Authorities:
        """The authorities at this moment."""
        return self._snapshot

    async def import_files(self) -> None:
        """Import the CPA files of the configuration that changed since they were last imported.

        Raises ConfigProblem for a file that cannot be read or is no CPA: the daemon then does not start.
        """
        config = self.config()
        problems = [
            problem for name in config.authorities for problem in await self.import_cpas(name, config)
        ]
        if problems:
            raise ConfigProblem(problems)

    async def import_cpas(
        self, authority: str, config: Config, *, only_usable: bool = False
    ) -> tuple[str, ...]:
        """Import the CPA files of one authority that changed, all or none of them; return what is wrong.

        With `only_usable` a CPA that the authority could not use is wrong too. Raises StoreProblem.
        """
        files: list[_CpaFile] = []
        problems: list[str] = []
        settings = config.authorities[authority]
        for number, path in enumerate(settings.cpas):
            place = ("authorities", authority, "cpas", number)
            try:
                document = await asyncio.to_thread(path.read_bytes)
                digest = hashlib.sha256(document).hexdigest()
                if await self.db.read(is_imported, authority, path, digest):
                    continue  # of a thousand agreements nearly all are as they were
                cpa_id = (await asyncio.to_thread(parse_cpa, document)).cpa_id
                if only_usable:
                    read = AgreementDocument(authority, cpa_id, document)
                    await asyncio.to_thread(KnownAgreements().know, read, settings)
            except OSError as error:
                text = f"{path} cannot be read ({error.strerror}); correct the path, or its rights"
                problems.append(config.problem(place, text))
            except (CpaError, AuthorityProblem) as problem:
                problems.append(config.problem(place, f"{path}: {problem}"))
            else:
                files.append(_CpaFile(path, digest, cpa_id, document))
        if files and not problems:
            try:
                results = await self.db.write(_import_all, authority, files, self.clock())
            except CpaOwnedByOther as problem:
                return (config.problem(("authorities", authority, "cpas"), str(problem)),)
            for file, result in zip(files, results, strict=True):
                log.info(
                    f"CPA file {'imported' if result.imported else 'not imported'}",
                    action="cpa.imported" if result.imported else "cpa.unchanged",
                    authority=authority,
                    cpa_id=file.cpa_id,
                    path=str(file.path),
                    reason=result.reason,
                )
        return tuple(problems)

    async def refresh(self) -> None:
        """Build a new snapshot when the active agreements, or the configuration, are others than at the present one."""
        async with self._building:
            config, keys = self.config(), self.keys()
            version = await self.db.read(agreements_version)
            if version == self._snapshot.version and self._built_for is config and self._built_with is keys:
                return
            now = self.clock()
            documents = await self.db.read(_documents, now - _MEMORY)
            gone = self._snapshot.by_name.keys() - config.authorities.keys()
            self._snapshot, self.problems = await asyncio.to_thread(
                build_authorities,
                config.authorities,
                keys,
                documents,
                version,
                now,
                self._agreements,
                {name: self.spare_keys(name) for name in keys},
            )
            self._built_for, self._built_with = config, keys
        for problem in self.problems:
            log.error("an agreement cannot be used", action="cpa.unusable", reason=problem)
        self._report(gone)

    async def watch(self) -> None:
        """Keep the snapshot up to date, until cancelled."""
        while True:
            seen = self.db.changes.count
            try:
                await self.refresh()
            except StoreProblem as problem:
                log.warning("the agreements cannot be read now", action="cpa.not_read", reason=str(problem))
            await asyncio.sleep(_QUIET)
            await self.db.wait_for_change(_IDLE, since=seen)

    def _report(self, gone: Collection[str]) -> None:
        for name in gone:
            self.metrics.forget_authority(name)
        for name, authority in self._snapshot.by_name.items():
            self.metrics.know_authority(name)
            self.metrics.agreements.labels(authority=name).set(len(authority.agreements))
            ends = [known.agreement.end for known in authority.agreements]
            if ends:
                self.metrics.agreement_end_timestamp_seconds.labels(authority=name).set(min(ends).timestamp())
            expiry = authority.keys.certificate.not_valid_after_utc
            self.metrics.certificate_not_after_timestamp_seconds.labels(authority=name, kind="own").set(
                expiry.timestamp()
            )
        log.info(
            "agreements in use",
            action="cpa.in_use",
            authorities=len(self._snapshot.by_name),
            agreements=[known.cpa_id for known in self._snapshot.agreements()],
        )
