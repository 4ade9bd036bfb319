# SPDX-License-Identifier: EUPL-1.2

"""What documents tell to do is done, step by step, as their marks say (tests/docs/blocks.py)."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adapter.simulator import free_ports
from tests.docs.blocks import Block, blocks

PATIENCE = 120.0
DOCUMENTS = sorted({block.document for block in blocks() if block.mark})


@dataclass
class Reader:
    """Who reads a document, and does what it says in a directory of their own, with their own ports."""

    directory: Path
    stack: AsyncExitStack
    ports: dict[str, str] = field(default_factory=dict)
    exported: dict[str, str] = field(default_factory=dict)
    started: dict[str, AsyncExitStack] = field(default_factory=dict)

    def __post_init__(self) -> None:
        free = free_ports()
        self.ports = {"8443": str(free.adapter), "8080": str(free.admin), "8444": str(free.dso_api)}

    async def do(self, block: Block) -> None:
        text = re.sub(
            "|".join(rf"\b{port}\b" for port in self.ports), lambda port: self.ports[port[0]], block.text
        )
        self.exported |= re.findall(r"(?m)^export (\w+)=(\S+)", text)
        match block.mark:
            case "file":
                path = self.directory / block.option
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            case "run":
                await self.run(block, text)
            case "start":
                name, _, said = block.option.partition(", until ")
                inner = await self.stack.enter_async_context(AsyncExitStack())
                self.started[name] = inner
                await inner.enter_async_context(self.running(block, text, said))
            case "stop":
                await self.started.pop(block.option).aclose()

    async def run(self, block: Block, script: str) -> None:
        until, said = block.option.removeprefix("until "), ""
        unwanted = block.option.removeprefix("while ") if block.option.startswith("while ") else None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    code, said = await self.once(script)
                    assert code == 0 or block.option, f"{block.place}: {said}"
                    if until in said if unwanted is None else code == 0 and unwanted not in said:
                        return
        except TimeoutError:
            pytest.fail(f"{block.place}: {said}")

    async def once(self, script: str) -> tuple[int | None, str]:
        process = await self.shell(script)
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        return process.returncode, said.decode()

    @asynccontextmanager
    async def running(self, block: Block, script: str, wanted: str) -> AsyncIterator[None]:
        process = await self.shell(f"exec {script}")
        assert process.stdout is not None
        said = f"{block.place}: ".encode()
        drain: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                while wanted.encode() not in said:
                    line = await process.stdout.readline()
                    assert line, said.decode()
                    said += line
            drain = asyncio.create_task(_drain(process.stdout))
            yield
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
            await (drain or _drain(process.stdout))
            await process.wait()

    async def shell(self, script: str) -> asyncio.subprocess.Process:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        admin = f"127.0.0.1:{self.ports['8080']}"
        own = {"PATH": path, "PYTHONUNBUFFERED": "1", "STAM_ADAPTER__ADMIN__LISTEN": admin}
        return await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", script),
            cwd=self.directory,
            env=os.environ | own | self.exported,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_what_a_document_says_works(document: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        reader = Reader(tmp_path, stack)
        for block in blocks():
            if block.document == document and block.mark:
                await reader.do(block)
