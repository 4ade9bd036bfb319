# SPDX-License-Identifier: EUPL-1.2

"""The options of publishing a CPA to DSO-LV through its REST API CPA aanbieden.

That the API exists, and asks for a PKIoverheid certificate, is known; its OpenAPI document is not public. So what a
request looks like, and which answers mean what, are options; their defaults are what the style of the other DSO APIs
suggests (STAM 9.5).
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapter.config.key_files import OtherKeyFiles
from adapter.config.values import BaseUrl, ConfigPath, Duration, HeaderName, Text, UrlPath, freeze

Status = Annotated[int, Field(ge=200, le=499)]

_RESERVED = frozenset({"content-length", "content-type", "host", "transfer-encoding", "connection"})


def _check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if name.lower() in _RESERVED:
            raise ValueError(f"has {name}, which the request sets itself; leave it out")
        if not value or not value.isascii() or not value.isprintable() or value != value.strip():
            raise ValueError(f"has a value for {name} that no header can have; write printable ASCII")
    frozen: Mapping[str, str] = freeze(headers)
    return frozen


class PublishBody(StrEnum):
    """How the CPA stands in the request: as the body, as a file in a form, or in base64 in a JSON document."""

    XML = "xml"
    MULTIPART = "multipart"
    JSON = "json"


class PublishConfig(OtherKeyFiles):
    """``[authorities.<name>.publish]``: the API CPA aanbieden; without it a CPA reaches DSO-LV in another way.

    `path` and the values of `fields` may have ``{cpa_id}`` and ``{oin}`` in them. `accepted` are the statuses that
    mean that DSO-LV has the CPA now, `present` those that mean that it had it already.
    """

    url: BaseUrl
    path: UrlPath = "/cpas"
    method: Literal["POST", "PUT"] = "POST"
    body: PublishBody = PublishBody.XML
    content_type: Text = "application/xml"
    field: Text = "cpa"
    fields: Annotated[Mapping[Text, str], AfterValidator(freeze)] = Field(default_factory=lambda: freeze({}))
    oin_header: HeaderName = "OIN"
    headers: Annotated[Mapping[HeaderName, str], AfterValidator(_check_headers)] = Field(
        default_factory=lambda: freeze({})
    )
    accepted: Annotated[tuple[Status, ...], Field(min_length=1)] = (200, 201, 202, 204)
    present: tuple[Status, ...] = (409,)
    timeout: Duration = timedelta(seconds=60)
    api_key_file: ConfigPath | None = None
    api_key_header: HeaderName = "x-api-key"

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together; give both, or neither to use those of dso")
        return self

    @model_validator(mode="after")
    def _has_place_for_fields(self) -> Self:
        if self.fields and self.body is PublishBody.XML:
            raise ValueError('fields need a body that has them; write body = "multipart" or "json"')
        if self.field in self.fields:
            raise ValueError(f"{self.field} is both the field of the CPA and one of fields; rename one")
        return self

    @model_validator(mode="after")
    def _each_header_once(self) -> Self:
        names = [self.oin_header, *self.headers, *([self.api_key_header] if self.api_key_file else [])]
        lower = [name.lower() for name in names]
        for name in names:
            if lower.count(name.lower()) > 1:
                raise ValueError(
                    f"the header {name} stands for two things; give the OIN and the API key their own"
                )
        return self

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if both := sorted(set(self.accepted) & set(self.present)):
            raise ValueError(f"{both[0]} is in both accepted and present; leave it in one")
        return self
