# SPDX-License-Identifier: EUPL-1.2

"""Serving one file of the simulated API: whole or from a range, and with whatever fault it is told to have."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from adapter.simulator.faults import Faults

_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")
_EXTRA: Final = b"meer dan er was"


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file as it is: its octets in blocks, which can be had again and again, and a name that faults know it by."""

    name: str
    blocks: Callable[[], Iterable[bytes]]
    size: int
    content_type: str
    version: str

    def sha256(self) -> bytes:
        """Its digest, for which it is read once."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Server:
    """Sends files. With `announces`, links and headers say what size and digest a file has."""

    faults: Faults
    announces: bool = False

    async def announced(self, file: ServedFile) -> dict[str, Any]:
        """What the references say of a file, wrong where told so."""
        said: dict[str, Any] = {}
        if self.announces or self.faults.concerns("wrong_size", file.name):
            said["size"] = file.size + self.faults.concerns("wrong_size", file.name)
        if self.announces or self.faults.concerns("wrong_digest", file.name):
            digest = await asyncio.to_thread(file.sha256)
            said["sha256"] = self._digest(file, digest).hex()
        return said

    async def send(self, request: web.Request, file: ServedFile) -> web.StreamResponse:
        """Answer with the file, or the part of it that was asked for."""
        size = self._size(file)
        headers = {"Content-Type": file.content_type, **await self._headers(file)}
        begin, end = self._range(request, headers.get("ETag"), size)
        if begin >= size > 0:
            return web.Response(
                status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                headers={"Content-Range": f"bytes */{size}"},
            )
        is_part = (begin, end) != (0, size)
        headers["Content-Length"] = str(end - begin)
        if is_part:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        status = HTTPStatus.PARTIAL_CONTENT if is_part else HTTPStatus.OK
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        await self._write(request, response, file, begin, end)
        return response

    async def _write(
        self, request: web.Request, response: web.StreamResponse, file: ServedFile, begin: int, end: int
    ) -> None:
        """Send the octets, or, when told to break off, half of them and then nothing."""
        is_cut = self.faults.take_cut(file.name)
        stop = begin + (end - begin) // 2 if is_cut else end
        for block in _between(self._octets(file), begin, stop):
            if self.faults.bytes_per_second is not None:
                await asyncio.sleep(len(block) / self.faults.bytes_per_second)
            await response.write(block)
        if is_cut and request.transport is not None:
            request.transport.close()

    def _size(self, file: ServedFile) -> int:
        if self.faults.concerns("truncate", file.name):
            return file.size // 2
        return file.size + (len(_EXTRA) if self.faults.concerns("extend", file.name) else 0)

    def _octets(self, file: ServedFile) -> Iterator[bytes]:
        """The octets as they are sent, up to the size that they are sent with or further."""
        is_corrupt = self.faults.concerns("corrupt_content", file.name)
        for block in file.blocks():
            yield bytes(octet ^ 0xFF for octet in block) if is_corrupt else block
        yield _EXTRA

    async def _headers(self, file: ServedFile) -> dict[str, str]:
        headers: dict[str, str] = {}
        if not self.faults.no_ranges:
            changes = self.faults.count_change(file.name)
            headers = {"Accept-Ranges": "bytes", "ETag": f'"{file.version}-{changes}"'}
        if self.announces:
            digest = self._digest(file, await asyncio.to_thread(file.sha256))
            headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
        return headers

    def _digest(self, file: ServedFile, digest: bytes) -> bytes:
        is_wrong = self.faults.concerns("wrong_digest", file.name)
        return hashlib.sha256(digest).digest() if is_wrong else digest

    def _range(self, request: web.Request, etag: str | None, size: int) -> tuple[int, int]:
        """From which octet to before which one: all, unless the asker has a part of this very version."""
        asked = _RANGE.fullmatch(request.headers.get("Range", ""))
        condition = request.headers.get("If-Range")
        if asked is None or etag is None or condition not in {None, etag}:
            return 0, size
        end = min(int(asked[2]) + 1, size) if asked[2] else size
        return int(asked[1]), max(end, int(asked[1]))


def _between(blocks: Iterable[bytes], begin: int, end: int) -> Iterator[bytes]:
    """The octets from `begin` to before `end`, in the blocks they come in."""
    position = 0
    for block in blocks:
        part = block[max(0, begin - position) : max(0, end - position)]
        position += len(block)
        if part:
            yield part
        if position >= end:
            return
