"""`simulate`: the simulated DSO-LV alone, to test a VTH system or another adapter against."""

import asyncio
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from adapter.cli.output import fail, say
from adapter.observe import configure_logs
from adapter.simulator import (
    AgreementPlan,
    Ports,
    SimulatedDso,
    World,
    create_world,
    free_ports,
    make_verzoek,
    random_spec,
    verzoeknummer,
)


def simulate(
    directory: Annotated[
        Path, typer.Option("--directory", "-d", help="Where certificates, CPA and configuration are made.")
    ] = Path("simulation"),
    adapter_port: Annotated[
        int,
        typer.Option("--adapter-port", help="Port of the adapter under test, on localhost; 0 chooses one."),
    ] = 8443,
    every: Annotated[
        float, typer.Option("--every", help="Seconds between two verzoeken; 0 sends none.", min=0)
    ] = 10.0,
    count: Annotated[
        int, typer.Option("--count", help="How many verzoeken to send; 0 is no end.", min=0)
    ] = 0,
) -> None:
    """Run a simulated DSO-LV: it pings, sends verzoeknotificaties and serves Verzoek afhandelen.

    It makes a throw-away PKI, a CPA and a fitting configuration in --directory. Start an adapter with these
    (`stam-adapter run --config DIRECTORY/stam-adapter.toml`, or your own), and watch what arrives.
    """
    configure_logs("console", "info")
    directory = directory.resolve()
    if directory.exists() and any(directory.iterdir()):
        fail(f"{directory} is not empty; choose another --directory, or remove it")
    asyncio.run(_simulate(directory, adapter_port, every, count))


async def _simulate(directory: Path, adapter_port: int, every: float, count: int) -> None:
    free = free_ports()
    ports = Ports(adapter_port or free.adapter, free.admin, free.dso_ebms, free.dso_api)
    world = await asyncio.to_thread(
        create_world, directory, {"voorbeeldstad": AgreementPlan()}, ports=ports, key_size=3072
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with SimulatedDso(world) as dso:
        _introduce(world)
        sending = asyncio.create_task(_send(dso, world, every, count))
        await stop.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def _introduce(world: World) -> None:
    authority = world.authorities[0]
    for line in (
        f"configuration of a fitting adapter   {world.config}",
        f"CPA                                  {authority.cpa_path}",
        f"certificate and key of the adapter   {world.directory / 'tls' / authority.name}.pem, .key",
        f"the adapter must listen at           {world.adapter_endpoint}",
        f"Verzoek afhandelen                   https://localhost:{world.ports.dso_api}",
    ):
        say(line)


async def _send(dso: SimulatedDso, world: World, every: float, count: int) -> None:
    if not every:
        return
    authority = world.authorities[0]
    today, number = datetime.now(UTC).date(), 0
    while not count or number < count:
        number += 1
        await asyncio.sleep(every)
        verzoek = make_verzoek(random_spec(verzoeknummer(today, number), authority.oin, seed=number))
        sent = await dso.announce(authority, verzoek)
        say(f"verzoek {verzoek.verzoeknummer} announced: HTTP {sent.status or 'no answer'}")
