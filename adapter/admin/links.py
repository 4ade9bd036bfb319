# SPDX-License-Identifier: EUPL-1.2

"""`GET /deliveries/<token>`: a file of a delivery, for a receiver that was given a signed link to it."""

import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web
from sqlalchemy import Connection

from adapter.admin.calls import ApplicationApi, log_audited
from adapter.admin.streams import streaming
from adapter.delivery import ContentDamaged, HandoverFile, StepFailed, handover_of, load_package
from adapter.delivery.handover import Package
from adapter.net import Networks, address_of
from adapter.observe import get_logger
from adapter.sinks import FileLink, NoLink, is_signed, links_of, media_type, read_token
from adapter.store import (
    AuditEntry,
    AuditKind,
    AuditOutcome,
    AuditVia,
    Content,
    add_audit,
    find_deliveries,
)

log = get_logger(__name__)

_COUNTED_AS: Final = "admin_link"


class FileLinks:
    """Serves the files that links lead to; whoever has a link needs nothing else."""

    def __init__(self, api: ApplicationApi) -> None:
        self._api = api

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The file, checked as it is sent: a damaged one breaks off before its end.

        Raises HTTPNotFound where the link is none of ours, and HTTPGone where it has expired or its file was removed.
        """
        try:
            link = await self._verified(request.match_info["token"])
        except NoLink as problem:
            self._refuse(request, str(problem))
            raise web.HTTPNotFound from problem
        if link.expires <= self._api.clock():
            self._refuse(request, f"it expired at {link.expires.isoformat()}")
            await self._audit(request, link, AuditOutcome.REFUSED)
            raise web.HTTPGone
        file = await self._file(link)
        if file is None:
            self._refuse(request, "its file is not in the store any more")
            await self._audit(request, link, AuditOutcome.REFUSED)
            raise web.HTTPGone
        await self._audit(request, link, AuditOutcome.DONE)
        return await self._send(request, file)

    async def _verified(self, token: str) -> FileLink:
        link = read_token(token)
        options = links_of(self._api.config(), link.authority, link.sink)
        if options is None:
            raise NoLink("there is no sink with links of this name")
        try:
            secret = await options.secret.read()
        except StepFailed as failure:
            raise NoLink(str(failure)) from failure
        if not is_signed(token, secret):
            raise NoLink("its signature does not hold")
        return link

    async def _file(self, link: FileLink) -> HandoverFile | None:
        """The file as it is in the store; None where it is not there any more."""
        package = await self._api.db.read(_package, link)
        if package is None:
            return None
        contents: dict[str, Content] = {}

        def open_content(path: str, content: Content) -> Callable[[], AsyncGenerator[bytes, None]]:
            contents[path] = content
            return lambda: self._api.spool.open(content)

        try:
            files = handover_of(package, open_content, attempt=1).files
        except ContentDamaged:
            return None
        if not 0 <= link.number < len(files):
            return None
        file = files[link.number]
        size = await self._api.spool.stored_size(contents[file.path])
        return file if size == file.size else None

    async def _send(self, request: web.Request, file: HandoverFile) -> web.StreamResponse:
        name = quote(file.path.rpartition("/")[2], safe="")
        digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
        headers = {
            hdrs.CONTENT_TYPE: media_type(file.content_type),
            hdrs.CONTENT_LENGTH: str(file.size),
            hdrs.CONTENT_DISPOSITION: f"attachment; filename*=UTF-8''{name}",
            "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530
        }
        async with (
            streaming(request, self._api.metrics, headers) as response,
            aclosing(file.open()) as chunks,
        ):
            async for chunk in chunks:
                await response.write(chunk)
        return response

    async def _audit(self, request: web.Request, link: FileLink, outcome: AuditOutcome) -> None:
        """Say in the audit trail which file of which delivery; its name may be personal."""
        address = address_of(request, Networks(self._api.config().admin.trusted_proxies))
        entry = AuditEntry(
            self._api.clock(),
            f"{link.authority}/{link.sink}",
            AuditVia.LINK,
            address,
            AuditKind.LOOK,
            "file.fetch",
            link.key,
            link.authority,
            outcome,
            {"number": link.number},
        )
        await self._api.db.write(add_audit, entry)
        log_audited(entry)

    def _refuse(self, request: web.Request, reason: str) -> None:
        self._api.metrics.refused_total.labels(reason=_COUNTED_AS).inc()
        log.warning(
            "a link to a file was refused", action="admin.link_refused", address=request.remote, reason=reason
        )


def _package(conn: Connection, link: FileLink) -> Package | None:
    found = find_deliveries(conn, link.authority, sink=link.sink, name=link.key, limit=1)
    return load_package(conn, found[0].id) if found else None
