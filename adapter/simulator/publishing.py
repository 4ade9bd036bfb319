# SPDX-License-Identifier: EUPL-1.2

"""The simulated REST API CPA aanbieden: takes a CPA as the body, as a file in a form, or in base64 in JSON.

It stands behind the same door as Verzoek afhandelen, which asks for the certificate, the OIN in the header and its
place on the whitelist. What it asks besides is what any such API must: a CPA that can be read, of which the OIN is a
party.
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from adapter.pki import strip_suffix
from cpa import CpaError, parse_cpa

CPA_BASE: Final = "/overheid/cpas/api/aanbieden/v1"
FIELD: Final = "cpa"


class _Refusal(web.HTTPException):
    """An answer with this status; the door makes a problem document of it."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        self.status_code = status.value
        super().__init__(reason="".join(letter if letter.isprintable() else " " for letter in detail[:300]))


@dataclass(slots=True)
class CpaAanbieden:
    """The CPAs that were offered, by CPAId, as they came.

    While there is a `refusal`, that status and reason are the answer to every CPA.
    """

    oin_header: str
    cpas: dict[str, bytes] = field(default_factory=dict)
    refusal: tuple[HTTPStatus, str] | None = None

    def add_routes(self, app: web.Application) -> None:
        """Serve below `CPA_BASE`."""
        app.router.add_post(f"{CPA_BASE}/cpas", self._offer)
        app.router.add_put(f"{CPA_BASE}/cpas", self._offer)
        app.router.add_put(f"{CPA_BASE}/cpas/{{cpa_id}}", self._offer)

    async def _offer(self, request: web.Request) -> web.StreamResponse:
        document = await _document(request)
        if self.refusal is not None:
            raise _Refusal(*self.refusal)
        cpa_id = self._judged(document, request.headers[self.oin_header])
        if request.match_info.get("cpa_id", cpa_id) != cpa_id:
            raise _Refusal(HTTPStatus.BAD_REQUEST, "The address names another CPA than the document.")
        if self.cpas.get(cpa_id) == document:
            raise _Refusal(HTTPStatus.CONFLICT, f"The CPA {cpa_id} is there already.")
        is_new = cpa_id not in self.cpas
        self.cpas[cpa_id] = document
        return web.json_response({"cpaId": cpa_id}, status=201 if is_new else 200)

    def _judged(self, document: bytes, oin: str) -> str:
        """The CPAId of a document in which this OIN is a party."""
        try:
            agreement = parse_cpa(document)
        except CpaError as problem:
            raise _Refusal(HTTPStatus.BAD_REQUEST, f"The CPA cannot be read: {problem}") from problem
        parties = {strip_suffix(one.value) for party in agreement.parties for one in party.ids}
        if oin not in parties:
            raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"OIN {oin} is no party of the CPA.")
        return agreement.cpa_id


async def _document(request: web.Request) -> bytes:
    """The CPA in a request, whichever way it stands there."""
    match request.content_type:
        case "application/xml" | "text/xml":
            return await request.read()
        case "multipart/form-data":
            form = await request.post()
            part = form.get(FIELD)
            if not isinstance(part, web.FileField):
                raise _Refusal(HTTPStatus.BAD_REQUEST, f"The form has no file {FIELD}.")
            return part.file.read()
        case "application/json":
            return _decoded(await request.read())
        case other:
            raise _Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The media type {other} is not supported.")


def _decoded(body: bytes) -> bytes:
    try:
        document: Any = json.loads(body)
        return base64.b64decode(document[FIELD], validate=True)
    except (ValueError, TypeError, KeyError, binascii.Error) as problem:
        raise _Refusal(
            HTTPStatus.BAD_REQUEST, f"The body is no JSON with the CPA in base64 in {FIELD}."
        ) from problem
