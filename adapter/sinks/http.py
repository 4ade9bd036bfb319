# SPDX-License-Identifier: EUPL-1.2

"""The http sink: each delivery is one request, with a key by which the receiver knows it again.

The body is multipart/form-data: the manifest, then every file in the order of the manifest; or it is the manifest
alone, with a link to each file. Nothing is remembered between attempts: after a crash the whole request is made again
with the same key, and the receiver answers 409, or as it did the first time. Both count as delivered.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from adapter.delivery import (
    Checkpoint,
    Delivered,
    Handover,
    OptionPath,
    Outcome,
    SinkContext,
    SinkOptions,
    SinkProblem,
    SinkType,
    StepFailed,
    manifest_bytes,
)
from adapter.sinks.access import (
    AUTHORIZATION,
    BasicOptions,
    HeaderName,
    HeaderValue,
    SecretFile,
    basic_authorization,
    header_value,
    probe_url,
    without_query,
)
from adapter.sinks.bodies import JSON, Body, Part, media_type, multipart, post
from adapter.sinks.connection import Answer, ConnectionOptions, check_url, open_client, refusal
from adapter.sinks.identity import qualified_key
from adapter.sinks.links import LinksOptions, with_links

MANIFEST: Final = "manifest"
_ALREADY_THERE: Final = 409
_LONGEST_REFERENCE: Final = 1000
_OURS: Final = frozenset(
    {"connection", "content-length", "content-type", "expect", "host", "transfer-encoding"}
)


class BearerOptions(SinkOptions):
    """`bearer`: the file with a token, and the header and scheme it is sent with (`scheme = ""`: the token alone)."""

    token_file: OptionPath
    header: HeaderName = AUTHORIZATION
    scheme: Annotated[str, AfterValidator(lambda text: text and header_value(text))] = "Bearer"

    @property
    def secret(self) -> SecretFile:
        """The token."""
        return SecretFile("bearer.token_file", self.token_file)

    async def value(self) -> str:
        """The value of the header; StepFailed where the token cannot be read."""
        token = await self.secret.read()
        return f"{self.scheme} {token}" if self.scheme else token


class Form(StrEnum):
    """What the body is: the manifest and every file, or the manifest alone, with links to the files."""

    MULTIPART = "multipart"
    MANIFEST = "manifest"


class HmacOptions(SinkOptions):
    """`hmac`: the file with the secret that requests are signed with, and the header of the signature."""

    secret_file: OptionPath
    header: HeaderName = "X-Signature"

    @property
    def secret(self) -> SecretFile:
        """The secret."""
        return SecretFile("hmac.secret_file", self.secret_file)

    async def value(self, key: str, manifest: bytes, now: datetime) -> str:
        """The value of the header; StepFailed where the secret cannot be read."""
        secret = await self.secret.read()
        return signature(secret.encode(), int(now.timestamp()), key, manifest)


class HttpOptions(ConnectionOptions):
    """The options of an http sink.

    `form` is what a body is; where it is the manifest alone, `links` says how it links to the files. `field` is the
    name of the part of each file; `key_header` the header with the key of the delivery; `headers` are sent as they are
    with every request.
    """

    url: str
    form: Form = Form.MULTIPART
    links: LinksOptions | None = None
    field: Annotated[str, Field(min_length=1)] = "file"
    basic: BasicOptions | None = None
    bearer: BearerOptions | None = None
    hmac: HmacOptions | None = None
    key_header: HeaderName = "Idempotency-Key"
    headers: Mapping[HeaderName, HeaderValue] = {}

    @model_validator(mode="after")
    def _links_where_needed(self) -> Self:
        if (self.form is Form.MANIFEST) != (self.links is not None):
            raise ValueError('form = "manifest" and links go together; give both, or neither')
        return self

    @model_validator(mode="after")
    def _each_header_once(self) -> Self:
        taken = [
            *(self.headers),
            self.key_header,
            *([AUTHORIZATION] if self.basic is not None else []),
            *([self.bearer.header] if self.bearer is not None else []),
            *([self.hmac.header] if self.hmac is not None else []),
        ]
        seen: set[str] = set()
        for name in taken:
            if name.lower() in _OURS:
                raise ValueError(f"header {name} is set by the adapter itself; leave it out")
            if name.lower() in seen:
                raise ValueError(
                    f"header {name} would be sent twice; leave one of them out, or name it otherwise"
                )
            seen.add(name.lower())
        return self


class HttpSink:
    """Delivers to one URL."""

    def __init__(self, options: HttpOptions, context: SinkContext) -> None:
        self._options = options
        self._clock = context.clock
        self._shown = without_query(options.url)
        if options.links is not None:
            check_url("links.url", options.links.url, options, context)
        self._http = open_client(options, {"url": options.url}, context)
        SecretFile.check(*(one.secret for one in self._secrets()))

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:  # noqa: ARG002
        """Make the one request. 2xx is delivered, and so is 409: the receiver has it already."""
        options = self._options
        key = f'"{qualified_key(handover)}"'
        manifest = manifest_bytes(await self._manifest(handover))
        headers = {**await self._access(), options.key_header: key}
        if options.hmac is not None:
            headers[options.hmac.header] = await options.hmac.value(key, manifest, self._clock())
        body = self._body(handover, manifest)
        answer = await post(self._http, options.url, body, headers, self._shown)
        if not answer.is_success and answer.status != _ALREADY_THERE:
            raise refusal(answer, self._shown, self._clock())
        return Delivered(self._reference(answer))

    async def probe(self) -> None:
        """Ask by OPTIONS whether the receiver is there and lets us in."""
        try:
            headers = await self._access()
            for one in self._secrets():
                await one.secret.read()
        except StepFailed as failure:
            raise SinkProblem(str(failure)) from failure
        is_whole = self._options.hmac is None  # there is nothing here that a signature could be of
        await probe_url(self._http, "OPTIONS", "url", self._options.url, headers, tells_access=is_whole)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _secrets(self) -> list[BasicOptions | BearerOptions | HmacOptions | LinksOptions]:
        """The options with a secret that are given."""
        options = self._options
        given = (options.basic, options.bearer, options.hmac, options.links)
        return [one for one in given if one is not None]

    async def _manifest(self, handover: Handover) -> Mapping[str, Any]:
        if self._options.links is None:
            return handover.manifest
        return await with_links(handover, self._options.links, self._clock())

    def _body(self, handover: Handover, manifest: bytes) -> Body:
        if self._options.form is Form.MANIFEST:
            return Body(JSON, [manifest])
        field = self._options.field
        files = [Part(field, file, media_type(file.content_type), file.path) for file in handover.files]
        return multipart([Part(MANIFEST, manifest, JSON, f"{MANIFEST}.json"), *files])

    async def _access(self) -> dict[str, str]:
        """The headers that are the same for every request."""
        headers = dict(self._options.headers)
        if self._options.basic is not None:
            headers[AUTHORIZATION] = await basic_authorization(self._options.basic)
        if self._options.bearer is not None:
            headers[self._options.bearer.header] = await self._options.bearer.value()
        return headers

    def _reference(self, answer: Answer) -> str:
        """Where the receiver says that it is, else where it went."""
        location = answer.headers.get("Location", "")
        return location if location.isprintable() and 0 < len(location) <= _LONGEST_REFERENCE else self._shown


def signature(secret: bytes, timestamp: int, key: str, manifest: bytes) -> str:
    """The signature of a delivery: `t=<timestamp>,v1=<HMAC-SHA256 in hexadecimal>`.

    Signed are the timestamp, the value of the header with the key, and the SHA-256 of the octets of the manifest, on a
    line each. The manifest has the SHA-256 of every file, so that no body has to be read before it is sent.
    """
    signed = f"{timestamp}\n{key}\n{hashlib.sha256(manifest).hexdigest()}"
    return f"t={timestamp},v1={hmac.new(secret, signed.encode(), hashlib.sha256).hexdigest()}"


HTTP: SinkType[HttpOptions] = SinkType("http", HttpOptions, HttpSink)
