"""`python -m bench`: one table of messages per second, CPU per message, latency and memory, and the floor beside it."""

import argparse
import asyncio
import json
import logging
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from adapter.pki import load_key_pair
from adapter.simulator import AgreementPlan, SimulatedDso, World, create_world
from bench.floor import floor
from bench.load import send_all
from bench.messages import ReadyMessage, make_message
from bench.processes import MeasuredAdapter, measured_adapter
from cpa import Agreement, PartyId, Profile, SyncReplyMode, agreement_for, parse_cpa
from cpa.names import OIN_TYPE

PLANS: Mapping[str, AgreementPlan] = {
    "osb-rm async": AgreementPlan(profile=Profile.OSB_RM),
    "osb-rm sync": AgreementPlan(profile=Profile.OSB_RM, sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
    "osb-rm-s async": AgreementPlan(),
    "osb-rm-s sync": AgreementPlan(sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
}
SIZES = {"1 KB": 1_000, "10 MB": 10_000_000, "1 GB": 1_000_000_000}
_WARM_UP = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; CPU in milliseconds per message, that of the floor beside it."""

    case: str
    per_second: float
    cpu: float
    p50: float
    p99: float
    load_cpu: float
    floor: float

    @property
    def of_floor(self) -> float:
        """How much of the adapter's CPU is the floor: 1 is as good as it can be."""
        return self.floor / self.cpu


async def measure(name: str, plan: AgreementPlan, directory: Path, count: int, senders: int) -> Row:
    """One case: a fresh world, a warm-up, then the load until every message is durably answered."""
    world = await asyncio.to_thread(create_world, directory, {"bench": plan}, extra_config=_limits(senders))
    _deliver_as_they_are(world)
    theirs = next(iter(world.agreements().values()))
    messages = [make_message(theirs, world.dso_keys) for _ in range(count + _WARM_UP)]
    async with SimulatedDso(world), measured_adapter(world) as adapter:
        await send_all(world, messages[:_WARM_UP], senders)
        before = adapter.cpu()
        measured = await send_all(world, messages[_WARM_UP:], senders)
        await _settle(adapter)
        cpu = adapter.cpu() - before
    return Row(
        case=name,
        per_second=measured.per_second,
        cpu=cpu / count * 1000,
        p50=measured.percentile(0.5),
        p99=measured.percentile(0.99),
        load_cpu=measured.cpu / count * 1000,
        floor=_floor(world, directory, messages[_WARM_UP:][: min(count, 300)]) * 1000,
    )


async def _settle(adapter: MeasuredAdapter) -> None:
    """Wait until the adapter has done the work that follows: its CPU time stands still for a second."""
    last = -1.0
    while adapter.cpu() - last > 0.05:
        last = adapter.cpu()
        await asyncio.sleep(1)


def _floor(world: World, directory: Path, messages: list[ReadyMessage]) -> float:
    authority = world.authorities[0]
    document = parse_cpa(authority.cpa_path.read_bytes())
    ours: Agreement = agreement_for(document, PartyId(authority.oin, OIN_TYPE))
    tls = directory / "tls"
    keys = load_key_pair(tls / f"{authority.name}.pem", tls / f"{authority.name}.key")
    return floor(directory, ours, keys, messages)


async def measure_memory(size: int, directory: Path) -> tuple[float, float]:
    """Peak memory in MiB after one message with a payload of this size, and the seconds it took."""
    limits = 'max_message = "3 GiB"'
    world = await asyncio.to_thread(create_world, directory, {"bench": AgreementPlan()})
    text = world.config.read_text().replace("[ebms]\n", f"[ebms]\n{limits}\n")
    world.config.write_text(text)
    _deliver_as_they_are(world)
    theirs = next(iter(world.agreements().values()))
    message = make_message(theirs, world.dso_keys, bytes(size))
    async with SimulatedDso(world), measured_adapter(world) as adapter:
        begun = time.perf_counter()
        await send_all(world, [message], 1)
        await _settle(adapter)
        return adapter.peak_memory(), time.perf_counter() - begun


def _limits(senders: int) -> str:
    return f"\n[limits]\nrequests = {senders * 2}\nrequests_per_partner = {senders * 2}\n"


def _deliver_as_they_are(world: World) -> None:
    """Flow message: what is measured is the message service handler, not a simulated API."""
    world.config.write_text(world.config.read_text().replace('flow = "stam"', 'flow = "message"'))


def show(rows: list[Row], memory: Mapping[str, tuple[float, float]], ready: float) -> None:
    """Print the table."""
    console = Console()
    table = Table(
        "case", "msg/s", "CPU ms/msg", "floor ms/msg", "of floor", "p50 ms", "p99 ms", "load CPU ms"
    )
    for row in rows:
        table.add_row(
            row.case,
            f"{row.per_second:.0f}",
            f"{row.cpu:.2f}",
            f"{row.floor:.2f}",
            f"{row.of_floor:.0%}",
            f"{row.p50:.1f}",
            f"{row.p99:.1f}",
            f"{row.load_cpu:.2f}",
        )
    console.print(table)
    for size, (peak, seconds) in memory.items():
        console.print(f"payload {size}: peak memory {peak:.0f} MiB, {seconds:.1f} s until delivered")
    console.print(f"from start to ready: {ready:.2f} s")


async def _ready_time(directory: Path) -> float:
    world = await asyncio.to_thread(create_world, directory, {"bench": AgreementPlan()})
    async with measured_adapter(world) as first:
        del first
    async with measured_adapter(world) as again:
        return again.ready_after


async def run(arguments: argparse.Namespace, directory: Path) -> dict[str, object]:
    """Everything, one after the other; returns the figures for JSON."""
    rows = []
    for number, (name, plan) in enumerate(PLANS.items()):
        place = directory / f"case{number}"
        rows.append(await measure(name, plan, place, arguments.messages, arguments.senders))
        shutil.rmtree(place)
    memory = {}
    for size, octets in SIZES.items():
        if octets <= arguments.largest:
            place = directory / size.replace(" ", "")
            memory[size] = await measure_memory(octets, place)
            shutil.rmtree(place)
    ready = await _ready_time(directory / "ready")
    show(rows, memory, ready)
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    return {
        "machine": machine,
        "rows": [asdict(row) | {"of_floor": row.of_floor} for row in rows],
        "memory": memory,
        "ready": ready,
    }


def main() -> None:
    """Read the arguments, run, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=1000, help="messages per case")
    parser.add_argument("--senders", type=int, default=16, help="connections at a time")
    parser.add_argument("--largest", type=int, default=SIZES["1 GB"], help="largest payload, in octets")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    # The simulated partner logs each acknowledgment: a line per message would hide the table and cost the load CPU.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="stam-bench-") as directory:
        figures = asyncio.run(run(arguments, Path(directory)))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
