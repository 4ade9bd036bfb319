# SPDX-License-Identifier: EUPL-1.2

"""The simulated DSO-LV as a whole: its MSH and its API Verzoek afhandelen, listening on loopback."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from aiohttp import web

from adapter.pki import server_context
from adapter.simulator.api import ApiSettings, VerzoekAfhandelenApi
from adapter.simulator.faults import Faults
from adapter.simulator.msh import SimulatedMsh
from adapter.simulator.records import Payload, SentMessage
from adapter.simulator.verzoeken import SimulatedVerzoek, notification_xml
from adapter.simulator.world import ACTION, SERVICE, World, WorldAuthority
from adapter.work import utc_now


@dataclass(slots=True)
class SimulatedDso:
    """Runs both sides of DSO-LV for the authorities of a world."""

    world: World
    clock: Callable[[], datetime] = utc_now
    faults: Faults = field(default_factory=Faults)
    settings: ApiSettings = field(default_factory=ApiSettings)
    msh: SimulatedMsh = field(init=False)
    api: VerzoekAfhandelenApi = field(init=False)
    _held: list[SentMessage] = field(default_factory=list)
    _not_taken: list[SentMessage] = field(default_factory=list)
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        """Make both sides; nothing listens yet."""
        world = self.world
        self.msh = SimulatedMsh(world.agreements(), world.dso_keys, world.trust, self.clock, self.faults)
        self.api = VerzoekAfhandelenApi(self.settings, self.faults)

    async def start(self) -> None:
        """Listen."""
        self._closing.push_async_callback(self.msh.close)
        await self._listen(self.msh.application(), self.world.ports.dso_ebms)
        await self._listen(self.api.application(), self.world.ports.dso_api)

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        await self._closing.aclose()

    async def __aenter__(self) -> "SimulatedDso":
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def announce(self, authority: WorldAuthority, verzoek: SimulatedVerzoek) -> SentMessage:
        """Make a verzoek available and send its verzoeknotificatie, unless that gets lost or is kept back."""
        self.api.publish(verzoek)
        payload = Payload(notification_xml(verzoek))
        is_held = self.faults.take_hold_notifications()
        is_lost = is_held or self.faults.take_lose_notifications()
        sent = await self.msh.send(
            authority.cpa_id,
            SERVICE,
            ACTION,
            [payload],
            conversation_id=verzoek.verzoeknummer,
            is_lost=is_lost,
        )
        if not is_lost and _was_not_taken(sent):
            self._not_taken.append(sent)
        if is_held:
            self._held.append(sent)
        return sent

    async def release(self) -> tuple[SentMessage, ...]:
        """Send the notifications that were kept back: the last first, so that they come out of order."""
        held, self._held = self._held[::-1], []
        return tuple([await self.msh.resend(sent) for sent in held])

    async def repeat(self) -> tuple[SentMessage, ...]:
        """Send once more what was not taken because nobody was there, or wanted it later, as a reliable sender does."""
        repeated = tuple([await self.msh.resend(sent) for sent in self._not_taken])
        self._not_taken = [sent for sent in repeated if _was_not_taken(sent)]
        return repeated

    async def _listen(self, app: web.Application, port: int) -> None:
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        context = server_context(self.world.dso_keys, self.world.trust)
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()


def _was_not_taken(sent: SentMessage) -> bool:
    return sent.status is None or sent.status >= HTTPStatus.INTERNAL_SERVER_ERROR
