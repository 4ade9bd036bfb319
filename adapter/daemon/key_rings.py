# SPDX-License-Identifier: EUPL-1.2

"""The key pairs of an authority: the one in use, those beside it, and when that changes by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adapter.config import AuthorityConfig, Config, ConfigProblem
from adapter.pki import KeyPair, KeyProblem
from adapter.work import utc_now


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The key pairs of one authority at a moment.

    `current` is used where nothing else is asked for. Of `spare` none has expired: an agreement that names one of them
    is signed with it. `until` is when the ring is another one, None where it stays as it is.
    """

    current: KeyPair
    spare: tuple[KeyPair, ...] = ()
    until: datetime | None = None


def load_key_rings(config: Config, now: datetime) -> Mapping[str, KeyRing]:
    """The key pairs of every authority. Blocking. Raises ConfigProblem with every file that cannot be used."""
    rings: dict[str, KeyRing] = {}
    problems: list[str] = []
    for name, authority in config.authorities.items():
        try:
            rings[name] = _ring(authority, now, strict=config.environment.guards_keys)
        except KeyProblem as problem:
            problems.append(config.problem_with(("authorities", name), authority, str(problem)))
    if problems:
        raise ConfigProblem(problems)
    return rings


def load_keys(config: Config, now: datetime | None = None) -> Mapping[str, KeyPair]:
    """The key pair in use of every authority. Blocking. Raises ConfigProblem as `load_key_rings` does."""
    return {name: ring.current for name, ring in load_key_rings(config, now or utc_now()).items()}


def _ring(authority: AuthorityConfig, now: datetime, *, strict: bool) -> KeyRing:
    current, since = authority.load(strict=strict), None
    others, changes = [], []
    for files in authority.spare_keys:
        pair = files.load(strict=strict)
        if files.start is not None and files.start > now:
            changes.append(files.start)
        if files.start is None or files.start > now or (since is not None and files.start < since):
            others.append(pair)
        else:
            others.append(current)
            current, since = pair, files.start
    spare = tuple(pair for pair in others if pair.certificate.not_valid_after_utc > now)
    changes += [pair.certificate.not_valid_after_utc for pair in spare]
    return KeyRing(current, spare, min(changes, default=None))
