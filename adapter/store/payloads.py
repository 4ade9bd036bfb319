"""Where the payloads of a configuration are kept: opening that place, and proving that it can be used."""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from adapter.config import Config, S3Config
from adapter.store.files import FileSpool
from adapter.store.problems import SpoolUnavailable
from adapter.store.spool import Spool

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import S3Config as AccessConfig

    from adapter.store.objects import ObjectSpool

_METADATA: Final = "169.254.0.0/16"
"""Where a machine in a cloud asks for its keys: never through a proxy."""

_REQUEST: Final = timedelta(seconds=30)

_RETRIES: Final["RetryConfig"] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
"""Short hiccups are waited out here; for longer ones a partner comes again, and a job is tried again."""


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
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import S3Store  # noqa: PLC0415

    from adapter.store.objects import ObjectSpool  # noqa: PLC0415

    place = config.store.payloads.rstrip("/")
    parts = urlsplit(place)
    try:
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=_access(config.store.s3),
            client_options=_client(config),
            retry_config=_RETRIES,
        )
    except (OSError, ValueError, BaseError) as error:
        reason = str(error).partition("\n")[0]
        raise SpoolUnavailable(f"{place} cannot be used: {reason}; correct [store.s3]") from error
    return ObjectSpool(store, place)


def _access(settings: S3Config) -> "AccessConfig":
    """Where the store is and how to get in; what is not set, the library finds in the environment."""
    # one request for each object: not every server knows the other way
    access: AccessConfig = {"disable_bulk_delete": True}
    if settings.endpoint is not None:
        access["endpoint"] = settings.endpoint
    if settings.region is not None:
        access["region"] = settings.region
    if settings.access_key is not None and settings.secret_key_file is not None:
        access["access_key_id"] = settings.access_key
        access["secret_access_key"] = _read_file(settings.secret_key_file)
    return access


def _client(config: Config) -> "ClientConfig":
    settings = config.store.s3
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=5),
        "timeout": _REQUEST,
        # http:// is only accepted in environment "test": what the environment of the process says changes nothing
        "allow_http": (settings.endpoint or "").startswith("http://"),
    }
    if config.outgoing.proxy is not None:
        client["proxy_url"] = config.outgoing.proxy
        client["proxy_excludes"] = ",".join([*config.outgoing.no_proxy, _METADATA])
    if settings.roots is not None:
        client["root_certificate"] = _read_file(settings.roots)
    return client


def _read_file(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise SpoolUnavailable(f"{path} cannot be read ({reason}); correct [store.s3]") from error
    if not text:
        raise SpoolUnavailable(f"{path} is empty; correct [store.s3]")
    return text
