# SPDX-License-Identifier: EUPL-1.2

"""Every fault of the simulated DSO-LV, on every step that it can hit: one complete delivery at the end of each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path

import pytest

from adapter.simulator import (
    DEFAULT_BASE,
    TOKEN_PATH,
    ApiSettings,
    Faults,
    SimulatedVerzoek,
    TokenSettings,
)
from tests.e2e.conftest import until
from tests.e2e.line import Line, a_verzoek, running_line

SECRET = "geheim-van-de-test"

ACCESS = """
oauth.token_url = "https://localhost:{port}{token}"
oauth.client_id = "adapter"
oauth.client_secret_file = "geheim"
"""

RECONCILE = """
[authorities.voorbeeldstad.reconcile]
area = [150000, 460000, 160000, 468000]
every = "1s"
"""


@dataclass(slots=True)
class FaultsOfEachRequest(Faults):
    """Faults of requests, that each request to the API meets once, whatever its step."""

    word: str = ""
    met: list[str] = field(default_factory=list)
    request: Callable[[], str] = str

    def begin(self, word: str) -> None:
        """Let every request meet this from here on."""
        self.word, self.met = word, []

    def take_unavailable(self) -> bool:
        return self._meets("unavailable")

    def take_too_many(self) -> bool:
        return self._meets("too_many")

    def take_expire_tokens(self) -> bool:
        return self._meets("expire_tokens")

    def _meets(self, word: str) -> bool:
        request = self.request()
        if word != self.word or request in self.met:
            return False
        self.met.append(request)
        return True


@pytest.fixture
def faults() -> FaultsOfEachRequest:
    return FaultsOfEachRequest()


@pytest.fixture
async def line(tmp_path: Path, faults: FaultsOfEachRequest) -> AsyncIterator[Line]:
    """A line to a directory, with access by tokens, at an API that announces sizes and digests; it runs."""
    settings = ApiSettings(tokens=TokenSettings("adapter", SECRET), announces=True)
    async with running_line(tmp_path, "directory", settings=settings, faults=faults) as made:
        world = made.chain.world
        (world.directory / "geheim").write_text(SECRET)
        text = world.config.read_text()
        access = ACCESS.format(port=world.ports.dso_api, token=TOKEN_PATH)
        world.config.write_text(text.replace(f'{DEFAULT_BASE}"\n', f'{DEFAULT_BASE}"{access}'))
        requests = made.chain.dso.api.requests
        faults.request = lambda: requests[-1].path
        await made.adapter.run()
        yield made
        assert await made.adapter.stop() == 0


def steps(verzoek: SimulatedVerzoek) -> list[str]:
    """Every file of a verzoek, as faults know it."""
    return ["xml", "pdf", *(each.document_id for each in verzoek.documents)]


async def test_each_request_of_a_verzoek_may_be_refused_once(line: Line, faults: FaultsOfEachRequest) -> None:
    for number, word in enumerate(("unavailable", "too_many", "expire_tokens"), start=1):
        faults.begin(word)
        verzoek = a_verzoek(line, number)
        await line.deliver(verzoek)
        of_verzoek = [path for path in faults.met if verzoek.verzoeknummer in path]
        assert len(of_verzoek) == 1 + len(steps(verzoek)), word
    await line.arrived_once()


async def test_each_file_may_break_off_and_come_slowly(line: Line) -> None:
    faults = line.chain.dso.faults
    faults.cut = {"*"}
    await line.deliver(a_verzoek(line, 1))
    faults.no_ranges = True  # so that it cannot be continued
    await line.deliver(a_verzoek(line, 2))
    faults.no_ranges, faults.changing = False, {"*"}
    await line.deliver(a_verzoek(line, 3))
    faults.cut, faults.changing = set(), set()
    faults.latency = timedelta(milliseconds=200)
    faults.bytes_per_second = 400_000
    await line.deliver(a_verzoek(line, 4))
    await line.arrived_once()


WRONG = ("corrupt_content", "truncate", "extend")
"""Faults of the octets that are served."""

WRONGLY_ANNOUNCED = ("wrong_size", "wrong_digest")
"""Faults of the links to files."""


async def refused(line: Line, verzoek: SimulatedVerzoek, fault: str, files: set[str]) -> None:
    """Announce a verzoek of which these files have a fault, and wait until it was found; then there is none."""
    setattr(line.chain.dso.faults, fault, files)
    await line.announce(verzoek)

    async def was_found() -> bool:
        return any(
            '"verzoek.collect_retry"' in said and verzoek.verzoeknummer in said
            for said in line.adapter.log.splitlines()
        )

    await until(was_found)
    setattr(line.chain.dso.faults, fault, set())


async def test_each_file_that_is_not_what_was_announced_is_fetched_again(line: Line) -> None:
    number = 0
    for fault in WRONG:
        for place in range(len(steps(a_verzoek(line, 1)))):
            number += 1
            verzoek = a_verzoek(line, number)
            await refused(line, verzoek, fault, {steps(verzoek)[place]})
            await line.all_delivered()
    await line.arrived_once()


async def test_what_the_references_lack_or_say_wrongly_of_the_verzoekbericht_is_read_again(
    line: Line,
) -> None:
    verzoek = a_verzoek(line, 1)
    await refused(line, verzoek, "lose_documents", {verzoek.documents[1].document_id})
    await line.all_delivered()
    for number, fault in enumerate(WRONGLY_ANNOUNCED, start=2):
        await refused(line, a_verzoek(line, number), fault, {"xml"})
        await line.all_delivered()
    await line.arrived_once()


async def test_what_links_say_wrongly_of_other_files_waits_until_an_operator_lets_it_be(line: Line) -> None:
    number = 0
    for fault in WRONGLY_ANNOUNCED:
        for place in range(1, len(steps(a_verzoek(line, 1)))):
            number += 1
            verzoek = a_verzoek(line, number)
            await refused(line, verzoek, fault, {steps(verzoek)[place]})
    assert await line.adapter.stop() == 0
    assert (await line.back_end.arrived()).messages == ()
    config = line.chain.world.config
    config.write_text(config.read_text().replace(ACCESS[:20], f"\ncheck_announced = false{ACCESS[:20]}"))
    await line.adapter.run()
    await line.all_delivered()
    arrived, expected = await line.back_end.arrived(), line.back_end.expected(line.announced)
    assert arrived.contents == expected.contents


async def resent(line: Line) -> None:
    await line.resend()


async def released(line: Line) -> None:
    await line.chain.dso.release()


async def nothing(line: Line) -> None:
    """The adapter needs nothing more."""


NOTIFICATIONS: dict[str, Callable[[Line], Awaitable[None]]] = {
    "duplicate_notification": nothing,
    "late_acknowledgment": resent,
    "cut_message": resent,
    "hold_notifications": released,
}
"""The faults of one notification, and what DSO-LV does about it."""


async def test_whatever_happens_to_a_notification_its_verzoek_is_delivered_once(line: Line) -> None:
    for number, (fault, then) in enumerate(NOTIFICATIONS.items(), start=1):
        setattr(line.chain.dso.faults, fault, 1)
        await line.announce(a_verzoek(line, number))
        assert getattr(line.chain.dso.faults, fault) == 0 or fault == "late_acknowledgment"
        await then(line)
        await line.all_delivered()
    await line.arrived_once()


async def test_a_notification_with_a_broken_signature_is_refused_and_a_good_one_after_it_is_not(
    line: Line,
) -> None:
    line.chain.dso.faults.break_signature = 1
    verzoek = a_verzoek(line, 1)
    authority = line.chain.world.authorities[0]
    broken = await line.chain.dso.announce(authority, verzoek)
    signal = await line.chain.dso.msh.wait_for(broken.message_id)
    assert signal.action == "MessageError"
    await line.deliver(verzoek)
    await line.arrived_once()


async def test_a_notification_that_is_lost_is_made_up_for(line: Line) -> None:
    await line.adapter.stop()
    with line.chain.world.config.open("a") as file:
        file.write(RECONCILE)
    await line.adapter.run()
    line.chain.dso.faults.lose_notifications = 1
    await line.deliver(a_verzoek(line, 1))
    await line.arrived_once()


def test_every_fault_of_a_verzoek_is_made() -> None:
    by_name = {"cut", "no_ranges", "changing", "latency", "bytes_per_second", "lose_documents", "retry_after"}
    each = {"unavailable", "too_many", "expire_tokens"}
    of_messages = {*NOTIFICATIONS, "break_signature", "lose_notifications"}
    known = {one.name for one in fields(Faults) if not one.name.startswith("_")}
    assert known - {"silence"} == by_name | each | of_messages | {*WRONG, *WRONGLY_ANNOUNCED}
