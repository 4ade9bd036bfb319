# SPDX-License-Identifier: EUPL-1.2

"""The load, a process of its own: the partner that sends messages and takes their acknowledgments.

`python -m bench.load SETTINGS`, where SETTINGS is a JSON file, is driven by JSON lines on standard input and answers
each with a line: `prepare` makes and signs messages, `send` sends them, `acknowledged` waits for what is to come back.
So its CPU time is counted apart from that of the receiver, and the loop that measures is not disturbed.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import aiohttp
from aiohttp import web

from adapter.pki import KeyPair, TrustStore, client_context, load_key_pair, server_context
from adapter.simulator import DSO_OIN
from bench.messages import ReadyMessage, make_message
from cpa import Agreement, PartyId, agreement_for, parse_cpa
from cpa.names import OIN_TYPE

_ABOUT = re.compile(rb"RefToMessageId>([^<]+)<")
_PATIENCE = 120.0
_SMALL = 1_000_000
"""Octets of a body that is held whole: building it is not part of what is measured."""


class LoadProblem(Exception):
    """A message was not answered as it should be."""


@dataclass(slots=True)
class Load:
    """The partner under any number of agreements."""

    keys: KeyPair
    trust: TrustStore
    agreements: Mapping[str, Agreement]
    _prepared: list[ReadyMessage] = field(default_factory=list)
    _expected: set[str] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _begun: float = 0.0

    def commands(self) -> Mapping[str, Callable[..., Awaitable[dict[str, Any]]]]:
        """What can be asked for."""
        return {"prepare": self.prepare, "send": self.send, "acknowledged": self.acknowledged}

    async def prepare(self, number: int, cpa_ids: Sequence[str], size: int | None = None) -> dict[str, Any]:
        """Make messages, by turns under these agreements."""
        turns = itertools.islice(itertools.cycle(cpa_ids), number)
        self._prepared = [make_message(self.agreements[cpa_id], self.keys, size) for cpa_id in turns]
        return {}

    async def send(self, endpoints: Sequence[str], senders: int) -> dict[str, Any]:
        """Send each message that was prepared once; its latency is the time from POST to the whole answer.

        The senders are divided over the endpoints; each has a connection of its own, which stays open.
        """
        waiting = iter([(message, _body(message)) for message in self._prepared])
        self._expected = {m.message_id for m in self._prepared if not m.is_synchronous}
        latencies: list[float] = []
        context = client_context(self.keys, self.trust)
        connector = aiohttp.TCPConnector(limit=senders)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

            async def sender(endpoint: str) -> None:
                for message, body in waiting:
                    begun = time.perf_counter()
                    headers = dict(message.body.headers)
                    data = body if body is not None else message.body.stream()
                    async with session.post(endpoint, data=data, headers=headers, ssl=context) as response:
                        _check(message, response.status, await response.read())
                    latencies.append(time.perf_counter() - begun)

            self._begun = time.perf_counter()
            await asyncio.gather(
                *(sender(one) for one in itertools.islice(itertools.cycle(endpoints), senders))
            )
            return {"seconds": time.perf_counter() - self._begun, "latencies": sorted(latencies)}

    async def acknowledged(self) -> dict[str, Any]:
        """Wait until every message is acknowledged that is not in the response; the seconds since the first POST."""
        async with asyncio.timeout(_PATIENCE), self._changed:
            await self._changed.wait_for(lambda: not self._expected)
        return {"seconds": time.perf_counter() - self._begun}

    async def listen(self, port: int) -> web.AppRunner:
        """Listen where the agreements say that acknowledgments go."""
        app = web.Application()
        app.router.add_post("/ebms", self._receive)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        context = server_context(self.keys, self.trust)
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        return runner

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        about = _ABOUT.search(body)
        if about is None or b":Acknowledgment" not in body:
            return web.Response(status=500)
        async with self._changed:
            self._expected.discard(about[1].decode())
            self._changed.notify_all()
        return web.Response(status=204)


def _body(message: ReadyMessage) -> bytes | None:
    """The body where it is small enough to be held; a large one is streamed."""
    return b"".join(message.body.stream_sync()) if message.body.content_length < _SMALL else None


def _check(message: ReadyMessage, status: int, answer: bytes) -> None:
    if status not in {200, 204}:
        raise LoadProblem(f"a message was answered with HTTP {status}")
    if message.is_synchronous and not (
        message.message_id.encode() in answer and b":Acknowledgment" in answer
    ):
        raise LoadProblem("the response to a message does not acknowledge it")


def _load(settings: Mapping[str, Any]) -> Load:
    tls = Path(settings["tls"])
    documents = [parse_cpa(Path(path).read_bytes()) for path in settings["cpas"]]
    seen = [agreement_for(document, PartyId(DSO_OIN, OIN_TYPE)) for document in documents]
    return Load(
        load_key_pair(tls / "dso.pem", tls / "dso.key"),
        TrustStore.from_files([tls / "root.pem"]),
        {agreement.cpa_id: agreement for agreement in seen},
    )


async def _run(settings: Mapping[str, Any], lines: TextIO) -> None:
    load = _load(settings)
    commands = load.commands()
    runner = await load.listen(settings["port"])
    _say({})
    while line := await asyncio.to_thread(lines.readline):
        asked = json.loads(line)
        try:
            _say(await commands[asked.pop("command")](**asked))
        except (LoadProblem, aiohttp.ClientError, TimeoutError) as problem:
            _say({"problem": f"{type(problem).__name__}: {problem}"})
    await runner.cleanup()


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run(json.loads(Path(sys.argv[1]).read_text()), sys.stdin))
