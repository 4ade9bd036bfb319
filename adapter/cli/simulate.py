# SPDX-License-Identifier: EUPL-1.2

"""`simulate`: the simulated DSO-LV alone, to test a VTH system or another adapter against."""

import asyncio
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from adapter.cli.output import WRONG_USE, fail, say, show_json
from adapter.cli.settings import JsonOption
from adapter.observe import configure_logs
from adapter.simulator import (
    AgreementPlan,
    Faults,
    Ports,
    SimulatedDso,
    VerzoekSpec,
    VerzoekStream,
    World,
    create_world,
    free_ports,
    parse_faults,
)
from adapter.verzoek import Doel, VerzoekType


def simulate(
    directory: Annotated[
        Path, typer.Option("--directory", "-d", help="Where certificates, CPA and configuration are made.")
    ] = Path("simulation"),
    adapter_port: Annotated[
        int,
        typer.Option("--adapter-port", help="Port of the adapter under test, on localhost; 0 chooses one."),
    ] = 8443,
    api_port: Annotated[
        int, typer.Option("--api-port", help="Port of Verzoek afhandelen, on localhost; 0 chooses one.")
    ] = 0,
    every: Annotated[
        float, typer.Option("--every", help="Seconds between two verzoeken; 0 sends none.", min=0)
    ] = 10.0,
    count: Annotated[int, typer.Option("--count", help="How many messages to send; 0 is no end.", min=0)] = 0,
    stam_type: Annotated[
        VerzoekType | None,
        typer.Option("--type", help="Only verzoeken of this type.", case_sensitive=False),
    ] = None,
    doel: Annotated[
        Doel | None,
        typer.Option(
            "--doel",
            help="Only messages with this doel, each of a verzoek of its own; a supplement or withdrawal is then the "
            "first that is seen of it.",
            case_sensitive=False,
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            help="What it does wrong, as unavailable=3, latency=2s, bytes_per_second=50kB, cut or wrong_digest; "
            "repeat it for more. An unknown one lists all.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a simulated DSO-LV: it sends verzoeknotificaties and serves Verzoek afhandelen.

    By default it sends all types, of persons and companies, with points, surfaces, addresses and parcels, and now and
    then a supplement (Aanvullen) or withdrawal (Intrekken) of an earlier verzoek, a copy for another behandeldienst,
    a long name, or file names that are hostile. What nobody took is sent again until somebody does.

    It makes a throw-away PKI, a CPA and a fitting configuration in --directory. Start an adapter with these
    (`stam-adapter run --config DIRECTORY/stam-adapter.toml`, or your own), and watch what arrives. It ends on SIGINT
    and SIGTERM. With --json, a document says where everything is, as soon as it listens.

    Example: stam-adapter simulate --directory simulation --every 60

    Example: stam-adapter simulate --type Melding --fault latency=2s
    """
    configure_logs("console", "info")
    try:
        faults = parse_faults(fault or ())
    except ValueError as problem:
        fail(f"--fault {problem}", WRONG_USE)
    directory = directory.resolve()
    if directory.exists() and any(directory.iterdir()):
        fail(f"{directory} is not empty; choose another --directory, or remove it")
    free = free_ports()
    ports = Ports(adapter_port or free.adapter, free.admin, free.dso_ebms, api_port or free.dso_api)
    asyncio.run(_simulate(directory, ports, _Sending(every, count, stam_type, doel), faults, as_json=as_json))


_SAID: Final = {
    "configuration": "configuration of a fitting adapter",
    "cpa": "CPA",
    "certificate": "certificate of the adapter",
    "key": "key of the adapter",
    "listenAt": "the adapter must listen at",
    "verzoekAfhandelen": "Verzoek afhandelen",
}


@dataclass(frozen=True, slots=True)
class _Sending:
    """What is sent, and how often."""

    every: float
    count: int
    type: VerzoekType | None
    doel: Doel | None


async def _simulate(
    directory: Path, ports: Ports, sending: _Sending, faults: Faults, *, as_json: bool
) -> None:
    world = await asyncio.to_thread(
        create_world, directory, {"voorbeeldstad": AgreementPlan()}, ports=ports, key_size=3072
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with SimulatedDso(world, faults=faults) as dso:
        if as_json:
            show_json(dict(_introduction(world)))
        else:
            for key, value in _introduction(world):
                say(f"{_SAID[key]:<40}{value}")
        task = asyncio.create_task(_send(dso, world, sending))
        await stop.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _introduction(world: World) -> Iterator[tuple[str, object]]:
    """Where everything is, by its name in JSON."""
    authority = world.authorities[0]
    yield "configuration", world.config
    yield "cpa", authority.cpa_path
    yield "certificate", world.directory / "tls" / f"{authority.name}.pem"
    yield "key", world.directory / "tls" / f"{authority.name}.key"
    yield "listenAt", world.adapter_endpoint
    yield "verzoekAfhandelen", f"https://localhost:{world.ports.dso_api}"


async def _send(dso: SimulatedDso, world: World, sending: _Sending) -> None:
    if not sending.every:
        return
    authority = world.authorities[0]
    stream = VerzoekStream(authority.oin, datetime.now(UTC).date(), sending.type, sending.doel)
    number = 0
    while not sending.count or number < sending.count:
        number += 1
        await _repeat(dso, sending.every)
        verzoek = stream.next()
        sent = await dso.announce(authority, verzoek)
        say(_line(verzoek.spec, sent.status))
        if not dso.faults.hold_notifications:
            await dso.release()
    while True:
        await _repeat(dso, sending.every)


async def _repeat(dso: SimulatedDso, after: float) -> None:
    """Wait, then send once more what was not taken yet, and say what came of it."""
    await asyncio.sleep(after)
    for sent in await dso.repeat():
        say(f"{sent.conversation_id} again: {_answer(sent.status)}")


def _answer(status: int | None) -> str:
    return f"HTTP {status}" if status else "no answer"


def _line(spec: VerzoekSpec, status: int | None) -> str:
    copy = f", a copy: {spec.behandeldienst} handles it" if spec.behandeldienst else ""
    return f"{spec.verzoeknummer}-{spec.volgnummer} {spec.doel} {spec.type}{copy}: {_answer(status)}"
