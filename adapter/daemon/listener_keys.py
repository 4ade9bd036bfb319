# SPDX-License-Identifier: EUPL-1.2

"""The certificates of a listener, renewed when their files change: new connections get the new ones, and no connection
ends for it.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from adapter.config import Mark, TlsConfig, mark_of, paths_in
from adapter.observe import Metrics, get_logger
from adapter.pki import KeyPair, KeyProblem, ServerCertificates, TrustStore

log = get_logger(__name__)


@dataclass(slots=True)
class ListenerKeys:
    """What the listener of this name shows; `strict` refuses key files that others may read."""

    name: str
    files: TlsConfig
    metrics: Metrics
    strict: bool
    served: ServerCertificates
    pairs: tuple[KeyPair, ...]
    _said: str | None = None
    _loaded: Mapping[Path, Mark | None] | None = None

    @classmethod
    def load(
        cls,
        name: str,
        files: TlsConfig,
        trust: TrustStore | None,
        metrics: Metrics,
        *,
        strict: bool,
        required: bool,
    ) -> "ListenerKeys":
        """Read the files at start. Blocking. Raises KeyProblem where one cannot be used."""
        marks = _marks(files)  # looked at first: what changes while it is read is then seen to have changed
        pairs = _read(files, strict=strict)
        served = ServerCertificates(pairs, trust, required=required)
        return cls(name, files, metrics, strict, served, pairs, _loaded=marks)

    async def watch(self, asked: asyncio.Event, every: timedelta) -> None:
        """Read the files again when `asked`, and when one changed, until cancelled; `every` is between two looks."""
        before: Mapping[Path, Mark | None] | None = None
        while True:
            by_hand = asked.is_set()
            asked.clear()
            marks = await asyncio.to_thread(_marks, self.files)
            # a file that is being written is other at the next look, and read when it stays as it is
            if by_hand or marks == before != self._loaded:
                await self._renew(marks, by_hand=by_hand)
            before = marks
            with suppress(TimeoutError):
                async with asyncio.timeout(every.total_seconds()):
                    await asked.wait()

    async def _renew(self, marks: Mapping[Path, Mark | None], *, by_hand: bool) -> None:
        self._loaded = marks
        try:
            pairs = await asyncio.to_thread(_read, self.files, strict=self.strict)
            await asyncio.to_thread(self.served.show, pairs)
        except KeyProblem as problem:
            self._keep(str(problem), by_hand=by_hand)
            return
        except OSError as problem:  # as when no file descriptors are left, which passes
            self._loaded = None
            self._keep(str(problem), by_hand=by_hand)
            return
        self._said = None
        self.metrics.listener_keys_not_reloaded.labels(listener=self.name).set(0)
        if [pair.pem for pair in pairs] == [pair.pem for pair in self.pairs]:
            return
        self.pairs = pairs
        log.info(
            "a listener shows other certificates from now on",
            action="listener.keys_renewed",
            listener=self.name,
            until=min(pair.certificate.not_valid_after_utc for pair in pairs).isoformat(),
        )

    def _keep(self, reason: str, *, by_hand: bool) -> None:
        """Go on with what there is, and say so once."""
        self.metrics.listener_keys_not_reloaded.labels(listener=self.name).set(1)
        if by_hand or self._said != reason:
            self._said = reason
            log.error(
                "the certificates of a listener cannot be renewed; it shows those it had",
                action="listener.keys_not_renewed",
                listener=self.name,
                reason=reason,
            )


def _read(files: TlsConfig, *, strict: bool) -> tuple[KeyPair, ...]:
    return tuple(one.load(strict=strict) for one in files.pairs)


def _marks(files: TlsConfig) -> Mapping[Path, Mark | None]:
    return {path: mark_of(path) for path in paths_in(files)}
