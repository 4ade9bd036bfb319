# SPDX-License-Identifier: EUPL-1.2

"""Where the payloads of a configuration are kept: opening that place, and proving that it can be used."""

import os
from typing import TYPE_CHECKING

from adapter.config import Config
from adapter.store.files import FileSpool
from adapter.store.problems import SpoolUnavailable
from adapter.store.spool import Spool

if TYPE_CHECKING:
    from adapter.store.objects import ObjectSpool


def open_spool(config: Config) -> Spool:
    """The spool that a configuration names. Asks nothing of an object store yet.

    Raises:
        SpoolUnavailable: a file of [store.s3] cannot be read, or the settings make no sense together.
        OSError: the directory of the spool cannot be made.

    """
    if config.store.keeps_files:
        return FileSpool(config.state / "spool")
    return _open_bucket(config)


async def probe_spool(config: Config) -> str | None:
    """Prove that payloads can be kept; a bucket is written to for it, and left as it was.

    Returns: what is not as it should be all the same.

    Raises:
        SpoolUnavailable: they cannot be; the text says the fix.

    """
    if config.store.keeps_files:
        spool = config.state / "spool"
        usable = spool.is_dir() and os.access(spool, os.R_OK | os.W_OK | os.X_OK)
        if spool.exists() and not usable:
            raise SpoolUnavailable(
                f"{spool} is no directory that this user can write; correct its rights, or mount it"
            )
        return "[store.s3] is not used: payloads are files" if config.store.s3.model_fields_set else None
    return await _open_bucket(config).probe()


def _open_bucket(config: Config) -> "ObjectSpool":
    # A library with a runtime of its own: only who keeps payloads in an object store waits for it at start.
    from adapter.store.buckets import BucketPlace, BucketProblem, open_bucket  # noqa: PLC0415
    from adapter.store.objects import ObjectSpool  # noqa: PLC0415

    place = BucketPlace(config.store.payloads.rstrip("/"), "[store] payloads", "in [store.s3]")
    try:
        return ObjectSpool(open_bucket(place, config.store.s3, config.outgoing), place)
    except BucketProblem as problem:
        raise SpoolUnavailable(str(problem)) from problem
