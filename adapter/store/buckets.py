# SPDX-License-Identifier: EUPL-1.2

"""Getting into a bucket of an S3-compatible object store: opening it, and what its errors mean to an operator."""

import asyncio
import atexit
import re
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from cryptography.x509 import load_pem_x509_certificates
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from adapter.config import OutgoingConfig, S3Config
from adapter.observe import get_logger
from adapter.store.problems import StoreProblem

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import S3Config as AccessConfig

log = get_logger(__name__)

PART: Final = 5 * 1024 * 1024
"""Octets of a part of an upload: the smallest that S3 takes. 10,000 of them are the largest object: 48 GiB."""

TROUBLE: Final = (BaseError, OSError)
"""What the library raises when a request did not succeed."""

_METADATA: Final = "169.254.0.0/16"
"""Where a machine in a cloud asks for its keys: never through a proxy."""

_REQUEST: Final = timedelta(seconds=30)

_RETRIES: Final["RetryConfig"] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
"""Short hiccups are waited out here; for longer ones a partner comes again, and a job is tried again."""

_LAST_WORDS: Final = 0.1
"""Seconds that threads of the library get, when the process ends, to let go of Python."""

_TIDYING: Final = 10.0
"""Seconds that the removal of what nobody needs may hold up who waits for an answer."""

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")

_FIXES: Final = {
    "NoSuchBucket": "make the bucket, or correct {url}",
    "InvalidAccessKeyId": "correct access_key {options}",
    "XAdminUserNotFound": "correct access_key {options}",  # the same, of versitygw
    "SignatureDoesNotMatch": "correct the secret key, or the region, {options}",
    "RequestTimeTooSkewed": "set the clock of this host (NTP)",
    "PermanentRedirect": "correct region {options}",
    "AuthorizationHeaderMalformed": "correct region {options}",
    "NotImplemented": "it must know conditional writes (If-None-Match): use a version of the store that does",
}
_RIGHTS: Final = (
    "check the keys, and allow GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucket there"
)
_WAY: Final = "check endpoint, region and keys {options}, the network and the proxy"


# A thread that answered may still wait for the interpreter; were that torn down meanwhile, the process would abort
# after all was done, and its exit code be lost: https://github.com/PyO3/pyo3-async-runtimes/issues/40
atexit.register(time.sleep, _LAST_WORDS)


class BucketProblem(Exception):
    """A bucket cannot be used as it is configured; the text says the fix."""


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A bucket and a prefix in it, as `s3://bucket/prefix`, and how the configuration calls what leads there.

    `url` names the option that holds the place; `options` says where the others stand.
    """

    place: str
    url: str
    options: str

    def explained(self, error: Exception) -> str:
        """What an error of the library says, with the fix."""
        reason = code_of(error)
        if reason in _FIXES:
            fix = _FIXES[reason]
        elif isinstance(error, PermissionDeniedError | UnauthenticatedError) or reason == "AccessDenied":
            fix = _RIGHTS
        else:
            fix = _WAY
        return f"{self.place} cannot be used now: {reason}; {self._named(fix)}"

    @property
    def way(self) -> str:
        """What to look at when the store does what no store does."""
        return self._named(_WAY)

    def _named(self, fix: str) -> str:
        return fix.format(url=self.url, options=self.options)


def code_of(error: Exception) -> str:
    """How the store calls an error, as `NoSuchBucket`; else its HTTP status, else what the library says."""
    text = str(error).partition("\n\nDebug source")[0]
    code, status = _CODE.search(text), _STATUS.search(text)
    return code[1] if code else status[1].strip() if status else text.rpartition(" - ")[2][:200]


def open_bucket(place: BucketPlace, settings: S3Config, outgoing: OutgoingConfig) -> S3Store:
    """The bucket, seen from its prefix. Asks nothing of it yet.

    Raises:
        BucketProblem: a file of the options cannot be read, or they make no sense together.

    """
    parts = urlsplit(place.place)
    try:
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=_access(place, settings),
            client_options=_client(place, settings, outgoing),
            retry_config=_RETRIES,
        )
    except (OSError, ValueError, BaseError) as error:
        reason = str(error).partition("\n")[0]
        raise BucketProblem(
            f"{place.place} cannot be used: {reason}; correct the options {place.options}"
        ) from error


async def abandon(upload: "obstore.AsyncWritableFile") -> None:
    """End an upload before its end: there will be no object. Raises what the library raises."""
    await upload.__aexit__(StoreProblem, StoreProblem("discarded"), None)


async def tidied(work: Awaitable[None], place: str, action: str) -> None:
    """Wait for the end of an upload to `place` that nobody needs; when that takes too long, or fails, it is left."""
    try:
        async with asyncio.timeout(_TIDYING):
            await work
    except (*TROUBLE, StoreProblem, TimeoutError) as problem:
        log.warning(
            "an upload that nobody needs could not be ended; the lifecycle rule of the bucket ends it",
            action=action,
            place=place,
            reason=str(problem).partition("\n")[0],
        )


def _access(place: BucketPlace, settings: S3Config) -> "AccessConfig":
    """Where the store is and how to get in; what is not set, the library finds in the environment."""
    # one request for each object: not every server knows the other way
    access: AccessConfig = {"disable_bulk_delete": True}
    if settings.endpoint is not None:
        access["endpoint"] = settings.endpoint
    if settings.region is not None:
        access["region"] = settings.region
    if settings.access_key is not None and settings.secret_key_file is not None:
        access["access_key_id"] = settings.access_key
        access["secret_access_key"] = _read_file(place, "secret_key_file", settings.secret_key_file)
    return access


def _client(place: BucketPlace, settings: S3Config, outgoing: OutgoingConfig) -> "ClientConfig":
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=5),
        "timeout": _REQUEST,
        # http:// is only accepted in environment "test": what the environment of the process says changes nothing
        "allow_http": (settings.endpoint or "").startswith("http://"),
    }
    if outgoing.proxy is not None:
        client["proxy_url"] = outgoing.proxy
        client["proxy_excludes"] = ",".join([*outgoing.no_proxy, _METADATA])
    if settings.roots is not None:
        roots = _read_file(place, "roots", settings.roots)
        try:
            load_pem_x509_certificates(roots.encode())
        except ValueError as error:
            raise BucketProblem(
                f"{settings.roots} has no certificate in PEM; correct roots {place.options}"
            ) from error
        client["root_certificate"] = roots
    return client


def _read_file(place: BucketPlace, option: str, path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise BucketProblem(f"{path} cannot be read ({reason}); correct {option} {place.options}") from error
    if not text:
        raise BucketProblem(f"{path} is empty; correct {option} {place.options}")
    return text
