# SPDX-License-Identifier: EUPL-1.2

"""Connecting as a user does it: the daemon in a process of its own, the command in another, DSO-LV in a third place."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapter.connecting.page import read_page
from adapter.simulator import AgreementPlan
from cpa import SyncReplyMode
from tests.e2e.conftest import Chain, until

COMMAND = 60.0


@dataclass
class Command:
    """`stam-adapter connect` in a process."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, chain: Chain, *options: str) -> "Command":
        command = (
            "-m",
            "adapter",
            "connect",
            "-a",
            "voorbeeldstad",
            "--config",
            str(chain.world.config),
            "--json",
        )
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                *options,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    async def heard(self, text: str) -> None:
        """Wait until the command says this."""
        assert self.process.stderr is not None
        async with asyncio.timeout(COMMAND):
            while text not in (line := (await self.process.stderr.readline()).decode()):
                assert line, f"it ended without saying {text!r}"

    async def ended(self) -> tuple[int, Any, str]:
        """Exit code, document and what it said since."""
        async with asyncio.timeout(COMMAND):
            out, said = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, json.loads(out), said.decode()


def keep_in(chain: Chain, url: str) -> None:
    """Give the adapter of a chain another database; it must not have started."""
    with chain.world.config.open("a") as file:
        file.write(f'\n[store]\nurl = "{url}"\n')


def index(chain: Chain) -> str:
    return (chain.world.directory / "var" / "evidence" / "index.html").read_text()


def page_of(document: Any, number: int) -> str:
    return Path(document["steps"][number]["evidence"]).read_text()


def progress(document: Any) -> list[str]:
    return [one["progress"] for one in document["steps"]]


@pytest.mark.parametrize(
    "plan",
    [AgreementPlan(), AgreementPlan(sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY)],
    ids=["asynchronous", "synchronous"],
)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_an_authority_is_walked_through_all_steps(
    chain: Chain, database: str, request: pytest.FixtureRequest
) -> None:
    if database == "postgresql":
        keep_in(chain, request.getfixturevalue("postgres_url"))
    authority, verzoek = chain.world.authorities[0], chain.verzoek()
    await chain.adapter.start()
    command = await Command.start(chain, "--wait", "40s", "--their-ping")
    await command.heard("waiting for a Ping of the partner")
    await chain.dso.msh.ping(authority.cpa_id)
    await command.heard("waiting for a verzoeknotificatie")
    sent = await chain.dso.announce(authority, verzoek)
    code, document, said = await command.ended()
    assert code == 0, said
    assert document["complete"]
    assert progress(document) == ["done"] * 5
    assert chain.dso.api.cpas.cpas == {authority.cpa_id: authority.cpa_path.read_bytes()}
    assert len(chain.delivered()) == 1
    pages = [page_of(document, number) for number in range(5)]
    for page in pages:
        for wanted in (
            "TEST",
            authority.oin,
            authority.cpa_id,
            "Gemeente Voorbeeldstad (simulatie)",
            "gelukt",
        ):
            assert wanted in page
    ping, notification, last = pages[2:]
    assert "beantwoord" in ping
    for page in (notification, last):
        assert verzoek.verzoeknummer in page
        assert sent.message_id in page
        assert sent.conversation_id in page
    for document_of in verzoek.documents:
        assert document_of.spec.bestandsnaam not in last
    evidence = read_page(last.encode())
    assert evidence is not None
    assert len(evidence.result.files) == 2 + len(verzoek.documents)
    assert all(file["sha256"] for file in evidence.result.files)
    assert index(chain).count("<a href=") == 5


async def test_a_ping_that_is_not_answered_fails_and_the_walk_is_resumed(chain: Chain) -> None:
    authority = chain.world.authorities[0]
    await chain.adapter.start()
    chain.dso.faults.silence = 1
    code, document, said = await (await Command.start(chain, "--wait", "2s")).ended()
    assert code == 1
    assert progress(document) == ["done", "done", "failed", "not yet", "not yet"]
    assert document["steps"][2]["trouble"] == "no_pong"
    assert "took the Ping but did not answer it" in " ".join(said.split())
    assert "De andere partij nam de Ping aan maar antwoordde niet" in page_of(document, 2)
    published = len(chain.dso.api.requests)

    await chain.dso.announce(authority, chain.verzoek())
    await until(chain.has_delivered)
    code, document, said = await (await Command.start(chain, "--wait", "40s")).ended()
    assert code == 0, said
    assert progress(document) == ["done before", "done before", "done", "done", "done"]
    assert "De andere partij nam de Ping aan" not in page_of(document, 2)
    assert not [one for one in chain.dso.api.requests[published:] if one.method == "POST"]

    command = await Command.start(chain, "--step", "ping", "--their-ping", "--wait", "1s")
    code, document, _ = await command.ended()
    assert (code, document["steps"][0]["trouble"]) == (1, "no_ping")
    await chain.dso.msh.ping(authority.cpa_id)
    command = await Command.start(chain, "--step", "ping", "--their-ping", "--wait", "20s")
    assert (await command.ended())[0] == 0


async def test_a_partner_that_is_not_there_fails_the_ping(chain: Chain) -> None:
    await chain.adapter.start()
    await chain.dso.stop()
    code, document, said = await (await Command.start(chain, "--step", "ping", "--wait", "20s")).ended()
    assert code == 1
    assert document["steps"][0]["trouble"] == "not_sent"
    assert "can be reached from the adapter" in " ".join(said.split())
