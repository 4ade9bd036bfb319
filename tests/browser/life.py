# SPDX-License-Identifier: EUPL-1.2

"""A daemon in a process of its own with a life behind it, as an operator comes upon it on a Monday morning."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from adapter.simulator import (
    ACTION,
    SERVICE,
    AdapterProcess,
    AgreementPlan,
    DocumentSpec,
    Payload,
    SimulatedDso,
    SimulatedVerzoek,
    VerzoekSpec,
    World,
    WorldAuthority,
    create_world,
    make_verzoek,
    verzoeknummer,
)
from adapter.store import DeliveryState, find_deliveries, open_database
from tests.faults.dso import FaultyApi, Script, answer

T = TypeVar("T")

PATIENCE = 60.0
TOKENS = {user: f"het-token-van-{user}" for user in ("beheer", "kijker")}
EVIL = "<script>document.title='overgenomen'</script>"
USERS = """
[[admin.users]]
name = "beheer"
token_file = "beheer.token"
role = "administer"
authorities = ["*"]

[[admin.users]]
name = "kijker"
token_file = "kijker.token"
role = "look"
authorities = ["voorbeeldstad"]
"""
AUTHORITIES = ("voorbeeldstad", "s-gravenhage", "sudwest-fryslan")
DOCUMENTS = (
    DocumentSpec("Situatietekening café ’t Hoekje, gevel noord-west.pdf", 30_000),
    DocumentSpec(f"{EVIL}.pdf", 2_000),
    DocumentSpec("Constructieberekening fundering bijgebouw (definitief).docx", 3_000, "application/msword"),
)


class Sideline:
    """An event loop in a thread: the browser has its own in that of the tests."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Sideline":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


@dataclass
class Town:
    """A daemon with its DSO-LV; what is parked, under way and delivered are verzoeknummers."""

    world: World
    dso: SimulatedDso
    adapter: AdapterProcess
    sideline: Sideline
    script: Script
    last: int = 0
    delivered: list[SimulatedVerzoek] = field(default_factory=list)
    parked: list[SimulatedVerzoek] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.world.ports.admin}"

    def authority(self, name: str = AUTHORITIES[0]) -> WorldAuthority:
        return next(one for one in self.world.authorities if one.name == name)

    def announce(self, authority: str = AUTHORITIES[0], *, is_broken: bool = False) -> SimulatedVerzoek:
        """A new verzoek; a broken one is parked, and comes whole when it is tried again."""
        self.last += 1
        one = self.authority(authority)
        spec = VerzoekSpec(
            verzoeknummer(datetime.now(UTC).date(), self.last), one.oin, documents=DOCUMENTS, seed=self.last
        )
        verzoek = make_verzoek(spec)
        if is_broken:
            self.script.add(verzoek.verzoeknummer, "/pdf", answer(404))
        self.sideline.run(self.dso.announce(one, verzoek))
        return verzoek

    def state(self, verzoek: SimulatedVerzoek) -> DeliveryState | None:
        """How far a verzoek is, by the store: a look at a page would be one in the audit trail."""

        async def work() -> DeliveryState | None:
            db = open_database("sqlite", self.world.directory / "var", exclusive=False)
            try:
                found = await db.read(find_deliveries, limit=1000)
            finally:
                await db.close()
            return next((one.state for one in found if one.verzoeknummer == verzoek.verzoeknummer), None)

        return self.sideline.run(work())

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, self.world.adapter_log.read_text()[-5000:]
            time.sleep(0.05)

    def settles(self, state: DeliveryState, *verzoeken: SimulatedVerzoek) -> None:
        """Wait until verzoeken are in a state."""
        for verzoek in verzoeken:
            self.until(lambda: self.state(verzoek) is state)  # noqa: B023 - called at once


@contextmanager
def town(directory: Path) -> Iterator[Town]:
    """A daemon that has delivered, parked, refused, and waits for a sink that is away."""
    world = create_world(directory, dict.fromkeys(AUTHORITIES, AgreementPlan()), extra_config=USERS)
    for user, token in TOKENS.items():
        (directory / f"{user}.token").write_text(f"{token}\n")
    _ends_soon(world, world.authorities[2])
    script = Script()
    dso = SimulatedDso(world)
    dso.api = FaultyApi(script)
    with Sideline() as sideline, ExitStack() as ending:
        ending.callback(lambda: sideline.run(dso.stop()))
        sideline.run(dso.start())
        adapter = sideline.run(AdapterProcess.start(world))
        ending.callback(lambda: sideline.run(adapter.stop()))
        sideline.run(adapter.until_ready())
        made = Town(world, dso, adapter, sideline, script)
        _live(made)
        yield made


def _ends_soon(world: World, authority: WorldAuthority) -> None:
    """Give an authority a certificate and an agreement that end in days."""
    soon = datetime.now(UTC) + timedelta(days=12)
    world.pki.issue(authority.name, authority.oin, not_after=soon).write(
        world.directory / "tls", authority.name
    )
    text = authority.cpa_path.read_text()
    changed = re.sub(r"(End>)[^<]+", rf"\g<1>{soon + timedelta(days=9):%Y-%m-%dT%H:%M:%SZ}", text)
    assert changed != text
    authority.cpa_path.write_text(changed)


def _live(town: Town) -> None:
    stad, haag = AUTHORITIES[:2]
    away = town.authority(haag).sink
    town.delivered = [town.announce(stad) for _ in range(6)] + [town.announce(haag) for _ in range(2)]
    town.settles(DeliveryState.DELIVERED, *town.delivered)
    away.rename(away.with_name("weg"))
    town.settles(DeliveryState.READY, *(town.announce(haag) for _ in range(2)))
    town.parked = [town.announce(stad, is_broken=True) for _ in range(5)]
    town.settles(DeliveryState.PARKED, *town.parked)
    town.dso.faults.break_signature = 1
    town.announce(stad)
    for _ in range(2):
        town.sideline.run(town.dso.msh.ping(town.authority(stad).cpa_id))
    odd = Payload(f"<verzoeknotificatie>{EVIL}</verzoeknotificatie>".encode())
    town.sideline.run(
        town.dso.msh.send(town.authority(stad).cpa_id, SERVICE, ACTION, [odd], conversation_id=EVIL)
    )
