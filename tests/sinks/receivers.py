# SPDX-License-Identifier: EUPL-1.2

"""Fake receivers that enforce what the real ones do, and meet faults, given by name, at their requests in turn."""

import base64
import hashlib
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.test_utils import TestServer
from lxml import etree

KNOWN_ROOTS = {"verzoekXML", "verzoek", "triggerbericht", "root"}
"""What OpenWave recognises."""


class Fault(StrEnum):
    """What goes wrong with one request."""

    NONE = "none"
    REFUSED = "answers 503 and does nothing"
    FAILED_AFTER = "does it, and answers 500"
    CUT_AFTER = "does it, and the connection breaks before the answer"
    CUT_HALFWAY = "the connection breaks while the request is read"


class FaultyReceiver(ABC):
    """A server whose requests meet `faults` in turn; after these all goes well."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.url = ""

    @abstractmethod
    async def do(self, request: web.Request) -> web.Response:
        """Do what was asked, as the real one would."""

    async def serve(self, request: web.Request) -> web.Response:
        fault = self.faults.pop(0) if self.faults and request.method != "OPTIONS" else Fault.NONE
        if fault is Fault.REFUSED:
            return web.Response(status=503)
        if fault is Fault.CUT_HALFWAY:
            await request.content.readany()
            return self.cut(request)
        response = await self.do(request)
        if fault is Fault.FAILED_AFTER:
            return web.Response(status=500)
        return self.cut(request) if fault is Fault.CUT_AFTER else response

    def cut(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self.serve)
        server = TestServer(app, scheme="http" if tls is None else "https", host="localhost")
        await server.start_server(ssl=tls)
        try:
            self.url = str(server.make_url("")).rstrip("/")
            yield
        finally:
            await server.close()


@dataclass
class ReceivedFile:
    name: str | None
    filename: str | None
    content_type: str
    size: int
    sha256: str


@dataclass
class ReceivedDelivery:
    headers: dict[str, str]
    manifest: bytes
    files: list[ReceivedFile]


class HttpReceiver(FaultyReceiver):
    """Takes a delivery when it is whole, once for each key, from whoever has the credentials."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: dict[str, ReceivedDelivery] = {}
        self.authorization: str | None = None
        self.statuses: list[int] = []
        self.location: str | None = None

    async def do(self, request: web.Request) -> web.Response:
        if self.authorization is not None and request.headers.get("Authorization") != self.authorization:
            return web.json_response({"title": "who are you"}, status=401)
        if request.method == "OPTIONS":
            return web.Response(status=405)
        if request.content_length is None:
            return web.Response(status=411)
        key = request.headers["Idempotency-Key"]
        if key in self.deliveries:
            return web.Response(status=409)
        delivery = await self._read(request)
        status = self.statuses.pop(0) if self.statuses else 201
        if status == 201:
            self.deliveries[key] = delivery
        headers = {"Location": self.location} if self.location is not None else {}
        return web.Response(status=status, headers=headers)

    async def _read(self, request: web.Request) -> ReceivedDelivery:
        if request.content_type == "application/json":
            return ReceivedDelivery(dict(request.headers), await request.read(), [])
        reader = await request.multipart()
        manifest = await reader.next()
        assert isinstance(manifest, BodyPartReader)
        assert manifest.name == "manifest"
        octets = bytes(await manifest.read())
        files = []
        while (part := await reader.next()) is not None:
            assert isinstance(part, BodyPartReader)
            digest, size = hashlib.sha256(), 0
            while chunk := await part.read_chunk(65536):
                digest.update(chunk)
                size += len(chunk)
            content_type = part.headers["Content-Type"]
            files.append(ReceivedFile(part.name, part.filename, content_type, size, digest.hexdigest()))
        return ReceivedDelivery(dict(request.headers), octets, files)


class OpenWave(FaultyReceiver):
    """Takes any XML it knows and any upload, as often as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[str] = []
        self.xml: list[bytes] = []
        self.documents: dict[str, bytes] = {}
        self.parameters: list[tuple[str, str, str]] = []

    async def do(self, request: web.Request) -> web.Response:
        expected = "Basic " + base64.b64encode(b"stam:geheim").decode()
        if request.headers.get("Authorization") != expected:
            return web.Response(status=401)
        if request.method == "OPTIONS":
            return web.Response()
        if request.content_length is None:
            return web.Response(status=411)
        if request.path == "/DSO/Verzoek/":
            return self._take_xml(await request.read())
        if request.path == "/upload.php":
            return await self._take_document(request)
        return web.Response(status=404)

    def _take_xml(self, octets: bytes) -> web.Response:
        try:
            root = etree.QName(etree.fromstring(octets)).localname
        except etree.XMLSyntaxError:
            root = ""
        if root not in KNOWN_ROOTS:
            return web.Response(status=400)
        self.received.append("xml")
        self.xml.append(octets)
        return web.Response()

    async def _take_document(self, request: web.Request) -> web.Response:
        fields = dict(request.query)
        where = "query" if fields else "form"
        content = b""
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.filename is None:
                fields[part.name or ""] = await part.text()
            else:
                assert part.name == "file"
                content = bytes(await part.read())
        name, number = fields["filename"], fields["olonummer"]
        self.parameters.append((where, name, number))
        self.received.append(name)
        self.documents[f"{number}_{name}"] = content
        return web.Response()


class ObjectsApi(FaultyReceiver):
    """Objecten API 2: token, CRS, each UUID once, data as the objecttype wants it, a merge patch makes a new record."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, dict[str, Any]] = {}
        self.records: dict[str, list[dict[str, Any]]] = {}
        self.required: set[str] = set()
        self.posted: list[dict[str, Any]] = []
        self.says_of_a_duplicate: tuple[int, dict[str, Any]] = (400, {"uuid": ["bestaat al"]})

    async def do(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Token 0123456789":
            return web.json_response({"detail": "Ongeldige token."}, status=401)
        if request.method in {"POST", "PATCH"} and request.headers.get("Content-Crs") != "EPSG:4326":
            return web.json_response({"detail": "'Content-Crs' header ontbreekt"}, status=412)
        if request.path == "/api/v2/objects":
            return await self._post(request) if request.method == "POST" else self._list(request)
        uuid = request.path.removeprefix("/api/v2/objects/")
        if uuid not in self.objects:
            return web.json_response({"detail": "Niet gevonden."}, status=404)
        if request.method == "PATCH":
            change = await request.json()
            data = _patched(self.objects[uuid]["record"]["data"], change["record"].pop("data"))
            self.objects[uuid]["record"] = {**self.objects[uuid]["record"], **change["record"], "data": data}
            self.records[uuid].append(self.objects[uuid]["record"])
        return web.json_response(self.objects[uuid])

    def _list(self, request: web.Request) -> web.Response:
        unknown = set(request.query) - {"type", "pageSize", "page", "date", "data_attr"}
        return web.json_response({"count": 0, "results": []}, status=400 if unknown else 200)

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.posted.append(body)
        missing = self.required - body["record"]["data"].keys()
        if missing:
            return web.json_response({"non_field_errors": [f"{missing} is a required property"]}, status=400)
        if body["uuid"] in self.objects:
            status, errors = self.says_of_a_duplicate
            return web.json_response(errors, status=status)
        self.objects[body["uuid"]] = {"url": f"{self.url}{request.path}/{body['uuid']}", **body}
        self.records[body["uuid"]] = [body["record"]]
        return web.json_response(self.objects[body["uuid"]], status=201)


def _patched(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    merged |= {key: _patched(merged.get(key), item) for key, item in patch.items()}
    return {key: item for key, item in merged.items() if key not in patch or patch[key] is not None}
