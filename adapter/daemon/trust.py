# SPDX-License-Identifier: EUPL-1.2

"""What is trusted, as the configuration has it: roots, authorities below them, and revocation lists that were kept."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from adapter.config import Config, ConfigProblem
from adapter.observe import get_logger
from adapter.pki import Crls, KeyProblem, Revocation, RevocationMode, TrustStore

log = get_logger(__name__)


def load_trust(config: Config) -> TrustStore:
    """The configured roots, and authorities below them. Raises ConfigProblem where one cannot be used."""
    try:
        return TrustStore.from_files(config.trust.roots, config.trust.intermediates)
    except KeyProblem as problem:
        raise ConfigProblem([config.problem_with(("trust",), config.trust, str(problem))]) from problem


def load_client_trust(config: Config) -> TrustStore | None:
    """The roots of the certificates of users; None where users show none. Raises ConfigProblem."""
    roots = config.admin.tls.client_roots if config.admin.tls is not None else ()
    try:
        return TrustStore.from_files(roots) if roots else None
    except KeyProblem as problem:
        raise ConfigProblem([config.problem(("admin", "tls", "client_roots"), str(problem))]) from problem


async def load_revocation(config: Config, clock: Callable[[], datetime]) -> Revocation:
    """What judges chains, with the lists that were kept."""
    crls = Crls(config.state / "crls")
    if config.revocation is not RevocationMode.OFF:
        for problem in await asyncio.to_thread(crls.load, clock()):
            log.warning(
                "a revocation list that was kept cannot be used", action="crl.not_recalled", reason=problem
            )
    return Revocation(config.revocation, crls, clock)
