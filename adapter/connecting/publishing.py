# SPDX-License-Identifier: EUPL-1.2

"""Publishing a CPA: one request to the REST API CPA aanbieden on behalf of an authority, and what its answer means.

What the request looks like is configuration (`adapter.config.publish`), as the API is not public. It may be made any
number of times: a CPA that DSO-LV has already is said to be there, so that nothing is ever half.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from aiohttp import MultipartWriter

from adapter.config import PublishBody, PublishConfig
from adapter.connecting.evidence import Outcome, Result, Trouble, failed, redact
from adapter.net import HttpClient, NetProblem, Response, describe_body, phrase_of

MAX_ANSWER: Final = 64 * 1024
_HIDDEN: Final = "(not shown)"
_SHOWN: Final = ("Date", "Location", "Content-Type", "X-Request-Id", "X-Correlation-Id")
"""Headers of an answer by which DSO-beheer finds it again."""


class Reception(StrEnum):
    """What DSO-LV made of a CPA."""

    ACCEPTED = "accepted"
    PRESENT = "present"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def is_there(self) -> bool:
        """Whether DSO-LV has the CPA."""
        return self in {Reception.ACCEPTED, Reception.PRESENT}


@dataclass(frozen=True, slots=True)
class Publication:
    """A request as it will be sent; `secret_headers` names those of which the values are shown nowhere."""

    cpa_id: str
    method: str
    url: str
    headers: Mapping[str, str]
    secret_headers: frozenset[str]
    body: bytes

    def describe(self) -> dict[str, object]:
        """The request without its body and secrets."""
        return {
            "method": self.method,
            "url": self.url,
            "headers": [
                f"{name}: {_HIDDEN if name in self.secret_headers else value}"
                for name, value in self.headers.items()
            ],
            "size": len(self.body),
            "sha256": hashlib.sha256(self.body).hexdigest(),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: `text` says it in a line, `status` is None where no answer came.

    `trouble` is None where DSO-LV has the CPA. `headers` and `body` are the answer itself, as far as it is evidence.
    """

    reception: Reception
    text: str
    status: int | None = None
    trouble: Trouble | None = None
    headers: str = ""
    body: str = ""

    def facts(self) -> dict[str, str | int]:
        """The answer as evidence has it."""
        facts: dict[str, str | int] = {"publish_reception": self.reception.value}
        if self.status is not None:
            facts["publish_status"] = self.status
        texts = {"publish_headers": self.headers, "publish_answer": self.body}
        return facts | {name: redact(text) for name, text in texts.items() if text}


async def make_publication(
    settings: PublishConfig, oin: str, cpa_id: str, document: bytes, api_key: str | None = None
) -> Publication:
    """The request that offers a CPA document on behalf of an OIN."""
    content_type, body = await _body(settings, oin, cpa_id, document)
    secret = dict(settings.headers) | ({} if api_key is None else {settings.api_key_header: api_key})
    headers = {
        "Accept": "application/json, application/problem+json",
        **secret,
        settings.oin_header: oin,
        "Content-Type": content_type,
    }
    path = settings.path.replace("{cpa_id}", quote(cpa_id, safe="")).replace("{oin}", oin)
    url = settings.url.rstrip("/") + path
    return Publication(cpa_id, settings.method, url, headers, frozenset(secret), body)


async def offer(http: HttpClient, settings: PublishConfig, publication: Publication) -> Answer:
    """Send the request, once, and say what its answer means."""
    try:
        async with http.request(
            publication.method, publication.url, headers=publication.headers, data=publication.body
        ) as response:
            return await _answer(settings, response)
    except NetProblem as problem:
        return Answer(Reception.FAILED, str(problem), trouble=Trouble.UNREACHABLE)


def result_of(publication: Publication, answer: Answer, fingerprint: str) -> Result:
    """What a step comes to by an answer; `fingerprint` is of the certificate that the request was made with."""
    facts: dict[str, str | int] = {
        "publish_url": publication.url,
        "publish_method": publication.method,
        "publish_certificate": fingerprint,
        **answer.facts(),
    }
    shown = Result(outcome=Outcome.DONE, facts=facts)
    return shown if answer.trouble is None else failed(answer.trouble, answer.text, shown)


async def _body(settings: PublishConfig, oin: str, cpa_id: str, document: bytes) -> tuple[str, bytes]:
    """The media type of the body, and the body."""
    fields = {
        name: value.replace("{cpa_id}", cpa_id).replace("{oin}", oin)
        for name, value in settings.fields.items()
    }
    match settings.body:
        case PublishBody.XML:
            return settings.content_type, document
        case PublishBody.JSON:
            given = {**fields, settings.field: base64.b64encode(document).decode("ascii")}
            return "application/json", json.dumps(given).encode()
        case PublishBody.MULTIPART:
            return await _form(settings, fields, cpa_id, document)


async def _form(
    settings: PublishConfig, fields: Mapping[str, str], cpa_id: str, document: bytes
) -> tuple[str, bytes]:
    form = MultipartWriter("form-data")
    for name, value in fields.items():
        form.append(value).set_content_disposition("form-data", name=name)
    part = form.append(document, {"Content-Type": settings.content_type})
    part.set_content_disposition("form-data", name=settings.field, filename=f"{cpa_id}.xml")
    return form.headers["Content-Type"], await form.as_bytes()


async def _answer(settings: PublishConfig, response: Response) -> Answer:
    body = await response.read_beginning(MAX_ANSWER)
    headers = "; ".join(f"{name}: {response.headers[name]}" for name in _SHOWN if name in response.headers)
    judged = _judge(settings, response, describe_body(body))
    return replace(judged, headers=headers, body=body.decode(errors="replace"))


def _judge(settings: PublishConfig, response: Response, text: str) -> Answer:
    """What a status means; `text` is what the answer says of it."""
    status = response.status
    if status in settings.accepted:
        return Answer(Reception.ACCEPTED, text, status)
    if status in settings.present:
        return Answer(Reception.PRESENT, text, status)
    what = f"HTTP {status} {phrase_of(status)}" + (f": {text}" if text else "")
    if status in {401, 403}:
        return Answer(Reception.REFUSED, what, status, Trouble.NOT_ALLOWED)
    if status in {408, 429} or status >= 500:
        wait = response.headers.get("Retry-After")
        asked = f"; it asks to wait: Retry-After {wait}" if wait else ""
        return Answer(Reception.FAILED, what + asked, status, Trouble.UNREACHABLE)
    if status < 300:
        what += "; if this means that DSO-LV has the CPA, add it to `accepted`"
    return Answer(Reception.REFUSED, what, status, Trouble.REFUSED)
