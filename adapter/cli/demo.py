# SPDX-License-Identifier: EUPL-1.2

"""`demo`: the whole chain on this machine, over mutual TLS on loopback.

A throw-away PKI and CPA, a simulated DSO-LV in this process, the daemon in a process of its own: one Ping, three
verzoeken (one with a document of 200 MB), shown as they move, and checked at the end octet for octet.
"""

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapter.cli.demo_view import Step, View
from adapter.cli.output import error_console, fail, show_json
from adapter.cli.settings import JsonOption
from adapter.config import load_config
from adapter.observe import configure_logs
from adapter.simulator import (
    AdapterEnded,
    AgreementPlan,
    DocumentSpec,
    SimulatedDso,
    SimulatedVerzoek,
    VerzoekSpec,
    World,
    create_world,
    make_verzoek,
    running_adapter,
    verzoeknummer,
)
from adapter.store import (
    Database,
    DeliveryState,
    StoredDelivery,
    StoredFile,
    delivery_files,
    find_deliveries,
    open_database,
)

_MARK: Final = ".stam-adapter-demo"
_MEGABYTE: Final = 1000 * 1000
_CHAIN_SECONDS: Final = 300.0
_BIG: Final = 200 * _MEGABYTE

_STEPS: Final = {
    DeliveryState.COLLECTING: Step.COLLECTING,
    DeliveryState.READY: Step.DELIVERING,
    DeliveryState.DELIVERED: Step.DELIVERED,
    DeliveryState.PARKED: Step.PARKED,
}


class DemoFailed(Exception):
    """The chain did not do what it should; the text says where to look."""


def demo(
    directory: Annotated[
        Path,
        typer.Option(
            "--directory", "-d", help="Where everything is made; an earlier demo there is replaced."
        ),
    ] = Path("demo"),
    big: Annotated[int, typer.Option("--big", help="Size of the big document in MB.", min=1)] = _BIG
    // _MEGABYTE,
    as_json: JsonOption = False,
) -> None:
    """Show the whole chain on this machine: one ping, three verzoeken, the result on disk.

    Everything is made below --directory: throw-away keys and CPA, a configuration, the store, the log, the verzoeken.

    Example: stam-adapter demo

    Example: stam-adapter demo --directory /tmp/demo --big 1
    """
    configure_logs("console", "error")
    directory = directory.resolve()
    _prepare(directory)
    try:
        asyncio.run(_demo(directory, big * _MEGABYTE, as_json=as_json))
    except (DemoFailed, TimeoutError) as problem:
        fail(f"the demo failed: {problem or 'it took too long'}\nsee {directory / 'adapter.log'}")


def _prepare(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARK).exists():
            fail(f"{directory} holds something that is not a demo; choose another --directory")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MARK).touch()


async def _demo(directory: Path, big: int, *, as_json: bool) -> None:
    view = View(error_console()) if as_json else View()
    with view:
        view.say("making a throw-away PKI, a CPA for osb-rm-s and a configuration")
        world = await asyncio.to_thread(
            create_world, directory, {"voorbeeldstad": AgreementPlan()}, key_size=3072
        )
        async with SimulatedDso(world) as dso, _daemon(world):
            view.say("the adapter runs; the simulated DSO-LV sends a Ping")
            await _ping(dso, world, view)
            verzoeken = [make_verzoek(spec) for spec in _specs(world, big)]
            await asyncio.gather(*(_announce(dso, world, verzoek, view) for verzoek in verzoeken))
            async with asyncio.timeout(_CHAIN_SECONDS):
                delivered = await _watch(world, verzoeken, view)
            for verzoek in verzoeken:
                await asyncio.to_thread(_check, delivered[verzoek.verzoeknummer], verzoek)
    if as_json:
        show_json(_document(world, delivered))
    else:
        view.finish(world, delivered)


def _document(world: World, delivered: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "configuration": world.config,
        "log": world.adapter_log,
        "cpa": world.authorities[0].cpa_path,
        "verzoeken": [
            {"verzoeknummer": number, "directory": delivered[number]} for number in sorted(delivered)
        ],
    }


@asynccontextmanager
async def _daemon(world: World) -> AsyncIterator[None]:
    """The adapter in a process of its own, from ready to a graceful stop."""
    try:
        async with running_adapter(world) as adapter:
            yield
    except AdapterEnded as problem:
        raise DemoFailed("the adapter did not start") from problem
    if adapter.returncode != 0:
        raise DemoFailed(f"the adapter ended with exit code {adapter.returncode}")


def _specs(world: World, big: int) -> tuple[VerzoekSpec, ...]:
    today = datetime.now(UTC).date()
    oin = world.authorities[0].oin
    drawings = (
        DocumentSpec("situatietekening.pdf", 350_000),
        DocumentSpec("gevelaanzicht.png", 1_200_000, "image/png"),
    )
    return (
        VerzoekSpec(verzoeknummer(today, 1), oin, documents=drawings, seed=1),
        VerzoekSpec(
            verzoeknummer(today, 2),
            oin,
            type="Melding",
            documents=(DocumentSpec("toelichting.doc", 80_000, "application/msword", vertrouwelijk=True),),
            seed=2,
        ),
        VerzoekSpec(
            verzoeknummer(today, 3),
            oin,
            documents=(DocumentSpec("constructieberekening en 3D-model.pdf", big), *drawings),
            seed=3,
        ),
    )


async def _ping(dso: SimulatedDso, world: World, view: View) -> None:
    sent = await dso.msh.ping(world.authorities[0].cpa_id)
    signal = await dso.msh.wait_for(sent.message_id)
    if signal.action != "Pong" or signal.problems:
        raise DemoFailed(f"the Ping was answered with {signal.action}: {', '.join(signal.problems)}")
    view.say("Pong: agreement, addresses and certificates hold in both directions")


async def _announce(dso: SimulatedDso, world: World, verzoek: SimulatedVerzoek, view: View) -> None:
    view.move(verzoek, Step.SENT)
    sent = await dso.announce(world.authorities[0], verzoek)
    signal = await dso.msh.wait_for(sent.message_id)
    if signal.action != "Acknowledgment" or signal.problems:
        raise DemoFailed(
            f"{verzoek.verzoeknummer}: {signal.action}: {', '.join(signal.problems or signal.errors)}"
        )
    view.move(verzoek, Step.ACKNOWLEDGED)


async def _watch(world: World, verzoeken: list[SimulatedVerzoek], view: View) -> dict[str, Path]:
    """Follow the verzoeken through the store of the daemon, until each lies in its directory."""
    config = load_config(world.config, {})
    db = open_database(config.store.url, config.state, exclusive=False)
    by_number = {verzoek.verzoeknummer: verzoek for verzoek in verzoeken}
    try:
        while True:
            seen = db.changes.count
            deliveries = await db.read(find_deliveries, world.authorities[0].name)
            for delivery in deliveries:
                await _show(db, delivery, by_number[str(delivery.verzoeknummer)], view)
            if len(deliveries) == len(verzoeken) and all(
                d.state is DeliveryState.DELIVERED for d in deliveries
            ):
                return {str(d.verzoeknummer): world.authorities[0].sink / d.name for d in deliveries}
            await db.wait_for_change(1.0, since=seen)
    finally:
        await db.close()


async def _show(db: Database, delivery: StoredDelivery, verzoek: SimulatedVerzoek, view: View) -> None:
    if delivery.state is DeliveryState.PARKED:
        raise DemoFailed(f"verzoek {delivery.verzoeknummer} was parked: {delivery.reason}")
    files: tuple[StoredFile, ...] = await db.read(delivery_files, delivery.id)
    fetched = sum(1 for file in files if file.content is not None)
    view.move(verzoek, _STEPS.get(delivery.state, Step.COLLECTING), fetched, len(files))


def _check(directory: Path, verzoek: SimulatedVerzoek) -> None:
    """Compare what was delivered with what DSO-LV served, octet for octet by digest."""
    manifest: Mapping[str, list[Mapping[str, str]]] = json.loads((directory / "manifest.json").read_text())
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    for path, digest in listed.items():
        if _digest(directory / path) != digest:
            raise DemoFailed(f"{directory / path} is not what its manifest says")
    served = {hashlib.sha256(verzoek.xml).hexdigest(), hashlib.sha256(verzoek.pdf).hexdigest()}
    served |= {document.content.sha256() for document in verzoek.documents}
    if set(listed.values()) != served:
        raise DemoFailed(f"{directory} does not hold what DSO-LV served")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
