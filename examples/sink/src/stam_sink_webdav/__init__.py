"""A sink that delivers to a WebDAV server: each delivery becomes a collection, complete or not there at all."""

import base64
import json
from collections.abc import Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from adapter.delivery import (
    Checkpoint,
    Delivered,
    Handover,
    HandoverFile,
    OptionPath,
    Outcome,
    Permanent,
    SinkContext,
    SinkProblem,
    SinkType,
    StepFailed,
    Steps,
    is_same_delivery,
    manifest_bytes,
)
from adapter.sinks.connection import Answer, ConnectionOptions, ask, open_client, refusal

MANIFEST = "manifest.json"


class WebdavOptions(ConnectionOptions):
    """The keys of the table of a webdav sink, beside those of every sink that speaks HTTP."""

    url: str
    user: str
    password_file: OptionPath


class WebdavSink:
    """Delivers below one collection of a WebDAV server.

    A delivery is put in the collection `.<key>`, file by file, and then moved to `<key>`. So after a crash:

        step `manifest`   `.<key>`   what happened, and what is done
        not done          any        it was not complete: go on with the first step that was not done
        done              there      complete, not moved: move it
        done              gone       moved, and perhaps taken by now: delivered
    """

    def __init__(self, options: WebdavOptions, context: SinkContext) -> None:
        self._url = options.url.rstrip("/")
        self._http = open_client(options, {"url": options.url}, context)
        self._clock = context.clock
        password = _password(options)
        credentials = base64.b64encode(f"{options.user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}"}

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Delivers one collection, or goes on where an earlier attempt stopped."""
        steps = Steps(checkpoint)
        await steps.once("collections", partial(self._make_collections, handover))
        for number, file in enumerate(handover.files):
            await steps.once(f"file {number}", partial(self._put_file, handover, file))
        await steps.once("manifest", partial(self._put_manifest, handover))
        return await self._move(handover)

    async def probe(self) -> None:
        """Asks for the collection itself, which changes nothing."""
        try:
            answer = await self._ask("PROPFIND", "", {"Depth": "0"})
            self._expect(answer, f"looking at {self._url}")
        except StepFailed as failure:
            raise SinkProblem(failure.outcome.reason) from failure

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def _make_collections(self, handover: Handover) -> Mapping[str, Any]:
        parents = {parent for file in handover.files for parent in PurePosixPath(file.path).parents}
        for parent in sorted(parents | {PurePosixPath()}):
            answer = await self._ask("MKCOL", f".{handover.key}/{parent}".removesuffix("/."))
            if answer.status != 405:  # 405: an attempt before this one made it
                self._expect(answer, f"making the collection {parent}")
        return {}

    async def _put_file(self, handover: Handover, file: HandoverFile) -> Mapping[str, Any]:
        headers = {
            "Content-Length": str(file.size),
            "Content-Type": file.content_type or "application/octet-stream",
        }
        answer = await self._ask("PUT", f".{handover.key}/{file.path}", headers, file.open())
        self._expect(answer, f"putting {file.path}")
        return {"sha256": file.sha256}

    async def _put_manifest(self, handover: Handover) -> Mapping[str, Any]:
        content = manifest_bytes(handover.manifest)
        answer = await self._ask("PUT", f".{handover.key}/{MANIFEST}", data=content)
        self._expect(answer, f"putting {MANIFEST}")
        return {}

    async def _move(self, handover: Handover) -> Outcome:
        target = f"{self._url}/{quote(handover.key)}"
        headers = {"Destination": target, "Overwrite": "F"}
        answer = await self._ask("MOVE", f".{handover.key}", headers)
        if answer.status == 404:  # the source is not there: an attempt before this one moved it
            return Delivered(target)
        if answer.status == 412:  # the target is there
            return await self._judge_existing(handover, target)
        self._expect(answer, f"moving to {target}")
        return Delivered(target)

    async def _judge_existing(self, handover: Handover, target: str) -> Outcome:
        answer = await self._ask("GET", f"{handover.key}/{MANIFEST}")
        if answer.is_success and is_same_delivery(_parsed(answer.body), handover.manifest):
            self._expect(await self._ask("DELETE", f".{handover.key}"), f"removing .{handover.key}")
            return Delivered(target)
        return Permanent(f"{target} exists and is not this delivery: move it away, then retry")

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, data: Any = None
    ) -> Answer:
        url = f"{self._url}/{quote(path)}"
        return await ask(self._http, method, url, headers={**self._headers, **(headers or {})}, data=data)

    def _expect(self, answer: Answer, what: str) -> None:
        if not answer.is_success:
            raise refusal(answer, what, self._clock())


def _password(options: WebdavOptions) -> str:
    try:
        password = options.password_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SinkProblem(f"password_file: {options.password_file} cannot be read; correct it") from error
    if not password:
        raise SinkProblem(f"password_file: {options.password_file} is empty; put the password in it")
    return password


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


WEBDAV: SinkType[WebdavOptions] = SinkType("webdav", WebdavOptions, WebdavSink)
