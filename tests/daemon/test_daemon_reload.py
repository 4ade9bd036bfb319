# SPDX-License-Identifier: EUPL-1.2

"""Authorities come, change and go while the daemon runs, each without touching another."""

import asyncio
import base64
import errno
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from structlog.testing import capture_logs

from adapter.config import Mark
from adapter.daemon.reloading import Reloaded, Reloader
from adapter.simulator import AgreementPlan, create_world
from tests.daemon.hosting import SOON, Hosting, hosted, names_in, reasons
from tests.e2e.conftest import until

NAMES = ("adorp", "bestad", "cehoven")


@pytest.fixture
async def hosting(tmp_path: Path) -> AsyncIterator[Hosting]:
    world = await asyncio.to_thread(create_world, tmp_path, dict.fromkeys(NAMES, AgreementPlan()), apart=True)
    async with hosted(world) as made:
        yield made


# --- add, change, withdraw


async def test_an_authority_is_added_without_a_restart(hosting: Hosting) -> None:
    text = hosting.take_away("cehoven")
    await hosting.start()
    assert not await hosting.is_known("cehoven")
    hosting.write("cehoven", text)
    done = await hosting.reload()
    assert (done["added"], done["changed"], done["withdrawn"], done["unchanged"]) == (1, 0, 0, 2)
    assert hosting.said("authority.added", "cehoven")
    await hosting.deliver("cehoven")


async def test_what_is_announced_after_a_change_goes_the_new_way_and_what_runs_ends_the_old(
    hosting: Hosting, tmp_path: Path
) -> None:
    await hosting.start()
    old, elsewhere = hosting.sink_of("adorp"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    old.gate.clear()
    running = await hosting.announce("adorp")
    await until_at_work(hosting, "adorp", 1)
    hosting.edit("adorp", 'path = "verzoeken/adorp"', 'path = "elsewhere"')
    assert (await hosting.reload())["changed"] == 1
    await hosting.deliver("adorp", elsewhere)
    assert not old.closed
    old.gate.set()
    await hosting.until_delivered(hosting.authority("adorp").sink, running)
    await hosting.until_said("authority.retired")
    assert old.closed
    assert f"{running}-000" not in names_in(elsewhere)


async def test_what_does_not_end_is_waited_for_only_so_long(hosting: Hosting) -> None:
    await hosting.start()
    old = hosting.sink_of("adorp")
    assert hosting.daemon._tenants is not None
    hosting.daemon._tenants._longest = timedelta(milliseconds=50)
    old.gate.clear()
    await hosting.announce("adorp")
    await until_at_work(hosting, "adorp", 1)
    hosting.take_away("adorp")
    await hosting.reload()
    await hosting.until_said("authority.retired")
    assert hosting.said("authority.cut_off", "adorp")[0]["jobs"] == 1
    assert old.closed


async def test_a_withdrawn_authority_is_unknown_to_its_partner_and_what_runs_ends(hosting: Hosting) -> None:
    await hosting.start()
    old = hosting.sink_of("bestad")
    old.gate.clear()
    running = await hosting.announce("bestad")
    await until_at_work(hosting, "bestad", 1)
    hosting.take_away("bestad")
    assert (await hosting.reload())["withdrawn"] == 1
    assert not await hosting.is_known("bestad")
    assert "bestad" not in certificates(hosting)
    assert "adorp" in certificates(hosting)
    assert await hosting.is_known("adorp")
    old.gate.set()
    await hosting.until_delivered(hosting.authority("bestad").sink, running)
    await hosting.until_said("authority.retired")
    assert old.closed


async def test_the_work_of_a_withdrawn_authority_waits_until_it_is_back(hosting: Hosting) -> None:
    await hosting.start()
    hosting.dso.faults.unavailable = 1_000_000
    number = await hosting.announce("bestad")
    await hosting.until_said("verzoek.collect_retry")
    text = hosting.take_away("bestad")
    await hosting.reload()
    hosting.dso.faults.unavailable = 0

    async def waits() -> bool:
        return any("is not in the configuration" in line["reason"] for line in hosting.said("job.retry"))

    await until(waits)
    hosting.write("bestad", text)
    assert (await hosting.reload())["added"] == 1
    await hosting.until_delivered(hosting.authority("bestad").sink, number)


async def test_the_others_keep_the_very_same_objects(hosting: Hosting) -> None:
    await hosting.start()
    await hosting.deliver("bestad")
    before = hosting.tenants
    source = before["bestad"].sources.source("bestad")
    hosting.edit("adorp", "[dso]", '[notification]\nverzoeknummer = "nummer"\n\n[dso]')
    hosting.take_away("cehoven")
    await hosting.reload()
    assert hosting.tenants["bestad"] is before["bestad"]
    assert hosting.tenants["adorp"] is not before["adorp"]
    assert [sink.authority for sink in hosting.made] == [*NAMES, "adorp"]
    assert source is not None
    assert hosting.tenants["bestad"].sources.source("bestad") is source
    assert not hosting.sink_of("bestad").closed


async def test_nothing_happens_where_nothing_changed(hosting: Hosting) -> None:
    await hosting.start()
    before = hosting.tenants
    for name in NAMES:
        hosting.write(name, hosting.world.authority_file(name).read_text() + "\n# looked at\n")
    done = await hosting.reload()
    assert (done["unchanged"], done["changed"]) == (3, 0)
    assert hosting.tenants == before
    assert len(hosting.made) == 3


# --- what is wrong


def damage_toml(hosting: Hosting) -> str:
    hosting.edit("adorp", "[dso]", "[dso")
    return r"adorp.toml:\d+:\d+: is not valid TOML: "


def unknown_key(hosting: Hosting) -> str:
    hosting.edit("adorp", "party =", "pary =")
    return r"adorp.toml:\d+: pary: unknown key; did you mean `party`"


def foreign_key(hosting: Hosting) -> str:
    hosting.edit("adorp", 'key = "tls/adorp.key"', 'key = "tls/bestad.key"')
    return "bestad.key: this key does not belong to the first certificate"


def damaged_key(hosting: Hosting) -> str:
    (hosting.world.directory / "tls" / "adorp.key").write_text("nothing")
    return "adorp.key: no private key could be read"


def wrong_sink_option(hosting: Hosting) -> str:
    hosting.edit("adorp", 'type = "directory"', 'type = "directory"\nconcurency = 2')
    return "sinks.archief.concurency: unknown key"


def no_cpa(hosting: Hosting) -> str:
    hosting.authority("adorp").cpa_path.write_text("<nothing/>")
    return "adorp.xml"


def foreign_cpa(hosting: Hosting) -> str:
    hosting.edit("adorp", "cpa/adorp.xml", "cpa/bestad.xml")
    return "correct `party` of the authority"


def missing_cpa(hosting: Hosting) -> str:
    hosting.authority("adorp").cpa_path.unlink()
    return r"adorp.toml:\d+: cpas\[0\]: .*adorp.xml cannot be read \(No such file"


def same_party(hosting: Hosting) -> str:
    hosting.edit("adorp", hosting.authority("adorp").oin, hosting.authority("bestad").oin)
    return "is also the party of authority bestad"


def same_directory(hosting: Hosting) -> str:
    hosting.edit("adorp", "verzoeken/adorp", "verzoeken/bestad")
    return "is also the path of a sink of authority bestad"


def two_places(hosting: Hosting) -> str:
    with hosting.world.config.open("a") as file:
        file.write('\n[authorities.adorp]\nparty = "urn:osb:oin:00000001001100415000"\n')
    return "authority adorp is also in .*stam-adapter.toml; keep one of the two"


def no_such_sink(hosting: Hosting) -> str:
    hosting.edit("adorp", 'sink = "archief"', 'sink = "archive"')
    return "this authority has no sink 'archive'; did you mean `archief`"


BROKEN: tuple[Callable[[Hosting], str], ...] = (
    damage_toml,
    unknown_key,
    foreign_key,
    damaged_key,
    wrong_sink_option,
    no_cpa,
    foreign_cpa,
    missing_cpa,
    same_party,
    same_directory,
    two_places,
    no_such_sink,
)


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda breaks: breaks.__name__)
async def test_what_is_wrong_keeps_that_authority_as_it_was_and_no_other(
    hosting: Hosting, breaks: Callable[[Hosting], str], tmp_path: Path
) -> None:
    await hosting.start()
    before = hosting.tenants["adorp"]
    (tmp_path / "elsewhere").mkdir()
    good, main = hosting.world.authority_file("adorp").read_text(), hosting.world.config.read_text()
    kept = tmp_path / "kept"
    for directory in ("tls", "cpa"):
        shutil.copytree(tmp_path / directory, kept / directory)
    said = breaks(hosting)
    hosting.edit(
        "bestad" if breaks is not same_directory else "cehoven", "verzoeken/", "elsewhere/../verzoeken/"
    )
    done = await hosting.reload()
    assert (done["changed"], done["not_reloaded"]) == (1, 1)
    assert hosting.tenants["adorp"] is before
    line = hosting.said("authority.not_reloaded", "adorp")[0]
    assert line["event"].endswith("it is served as before")
    assert line["log_level"] == "error"
    assert re.search(said, reasons(line)), reasons(line)
    assert not_reloaded(hosting) == {"adorp": 1.0}
    await hosting.deliver("adorp")
    hosting.write("adorp", good)
    hosting.world.config.write_text(main)
    for directory in ("tls", "cpa"):
        shutil.copytree(kept / directory, tmp_path / directory, dirs_exist_ok=True)
    assert (await hosting.reload())["not_reloaded"] == 0
    assert not_reloaded(hosting) == {}


async def test_a_new_authority_that_is_wrong_is_not_served(hosting: Hosting) -> None:
    text = hosting.take_away("cehoven")
    await hosting.start()
    hosting.write("cehoven", text.replace("cpa/cehoven.xml", "cpa/none.xml"))
    await hosting.reload()
    assert hosting.said("authority.not_reloaded", "cehoven")[0]["event"].endswith("it is not served")
    assert not await hosting.is_known("cehoven")
    assert not_reloaded(hosting) == {"cehoven": 1.0}


async def test_a_directory_that_is_gone_withdraws_nobody(hosting: Hosting) -> None:
    await hosting.start()
    directory = hosting.world.authority_file("adorp").parent
    directory.rename(directory.with_name("gone"))
    done = await hosting.reload()
    assert (done["withdrawn"], done["not_reloaded"]) == (0, 3)
    assert "authorities.d: is not there any more" in reasons(hosting.said("authority.not_reloaded")[0])
    assert await hosting.is_known("adorp")


async def test_a_main_file_that_is_broken_is_said_and_the_other_files_count(hosting: Hosting) -> None:
    await hosting.start()
    hosting.world.config.write_text("environment = ")
    hosting.take_away("cehoven")
    done = await hosting.reload()
    assert (done["withdrawn"], done["not_reloaded"], done["unchanged"]) == (1, 0, 2)
    assert "is not valid TOML" in reasons(hosting.said("configuration.not_reloaded")[0])


async def test_what_holds_after_a_restart_only_is_said_and_not_applied(hosting: Hosting) -> None:
    await hosting.start()
    text = hosting.world.config.read_text()
    hosting.world.config.write_text(
        text.replace("127.0.0.1:", "localhost:").replace('max = "1m"', 'max = "2m"')
        + "\n[limits]\nbacklog = 7\n"
    )
    done = await hosting.reload()
    assert done["unchanged"] == 3
    line = hosting.said("configuration.needs_restart")[0]
    assert line["keys"] == ["[ebms] listen", "[admin] listen", "[retries] max", "[limits] backlog"]
    assert line["event"] == f"needs a restart: {', '.join(line['keys'])}"
    assert await hosting.is_known("adorp")


# --- keys and agreements


async def test_a_renewed_key_is_used_from_the_reload_on(hosting: Hosting) -> None:
    await hosting.start()
    await hosting.deliver("adorp")
    before, tls, path = hosting.tenants, hosting.world.directory / "tls", hosting.authority("adorp").cpa_path
    renewed = hosting.world.pki.issue("Gemeente A", hosting.authority("adorp").oin, key_size=2048)
    renewed.write(tls, "adorp")
    old = base64_of(before["adorp"].keys.certificate)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, base64_of(renewed.certificate)))
    hosting.dso.msh.agreements = hosting.world.agreements()
    assert (await hosting.reload())["changed"] == 1
    assert hosting.tenants["adorp"].keys.certificate == renewed.certificate
    assert hosting.tenants["bestad"] is before["bestad"]
    await hosting.until_said("authority.retired")
    number = await hosting.deliver("adorp")
    sent = next(one for one in hosting.dso.msh.sent.values() if one.conversation_id == number)
    assert (await hosting.dso.msh.wait_for(sent.message_id)).problems == ()


async def test_a_replaced_cpa_is_imported_and_the_connections_stay(hosting: Hosting) -> None:
    await hosting.start()
    sink, path = hosting.sink_of("adorp"), hosting.authority("adorp").cpa_path
    path.write_bytes(path.read_bytes() + b"<!-- another -->")
    assert (await hosting.reload())["changed"] == 1
    assert [line["reason"] for line in hosting.said("cpa.imported", "adorp")] == [
        "the file is new",
        "the file changed",
    ]
    assert hosting.sink_of("adorp") is sink
    assert not hosting.said("authority.retired")
    await hosting.deliver("adorp")


# --- when


async def test_a_changed_file_is_noticed_without_a_signal(hosting: Hosting, tmp_path: Path) -> None:
    await hosting.start(look=SOON)
    (tmp_path / "elsewhere").mkdir()
    hosting.edit("adorp", 'path = "verzoeken/adorp"', 'path = "elsewhere"')
    await hosting.until_said("authority.changed")
    await hosting.deliver("adorp", tmp_path / "elsewhere")
    hosting.take_away("bestad")
    await hosting.until_said("authority.withdrawn")
    key = hosting.world.directory / "tls" / "cehoven.key"
    text = key.read_text()
    key.write_text("nothing")
    await hosting.until_said("authority.not_reloaded")
    key.write_text(text)

    async def is_mended() -> bool:
        return not not_reloaded(hosting)

    await until(is_mended)


async def test_a_file_that_is_being_written_is_read_when_it_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b, c = ({Path("a"): (number, 0, 0, 0)} for number in range(3))
    looks: list[Mapping[Path, Mark | None]] = [a, a, a, b, c, b, b, b]
    loads: list[Mapping[Path, Mark | None]] = []
    seen: list[Mapping[Path, Mark | None]] = []

    def marks(_: Reloader) -> Mapping[Path, Mark | None]:
        if not looks:
            raise asyncio.CancelledError
        seen.append(looks.pop(0))
        return seen[-1]

    async def reload(_: Reloader, *, thorough: bool = False) -> Reloaded:
        loads.append(seen[-1])
        return Reloaded()

    monkeypatch.setattr(Reloader, "_marks", marks)
    monkeypatch.setattr(Reloader, "_has_other_keys", lambda _: False)
    monkeypatch.setattr(Reloader, "reload", reload)
    reloader = Reloader(*[None] * 7)  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await reloader.watch(asyncio.Event(), timedelta(microseconds=1))
    assert loads == [a, b]


async def test_files_that_cannot_be_looked_at_for_a_while_stop_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the process has no file descriptors left."""
    looks: list[BaseException] = [OSError(errno.EMFILE, os.strerror(errno.EMFILE)), asyncio.CancelledError()]

    def marks(_: Reloader) -> Mapping[Path, Mark | None]:
        raise looks.pop(0)

    monkeypatch.setattr(Reloader, "_marks", marks)
    monkeypatch.setattr(Reloader, "_has_other_keys", lambda _: False)
    reloader = Reloader(*[None] * 7)  # type: ignore[arg-type]
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await reloader.watch(asyncio.Event(), timedelta(microseconds=1))
    assert [line["action"] for line in logs] == ["configuration.not_looked_at"]


async def test_several_at_once_come_one_after_the_other_and_a_stop_in_between_does_no_harm(
    hosting: Hosting,
) -> None:
    await hosting.start()
    for _ in range(3):
        hosting.edit("adorp", 'flow = "stam"', 'flow = "stam" ')
        hosting.daemon.reload()
    hosting.take_away("bestad")
    await hosting.daemon.stop()
    hosting.daemon.reload()
    assert all(sink.closed for sink in hosting.made)


def base64_of(certificate: Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def certificates(hosting: Hosting) -> set[str]:
    """The authorities of whose certificate the metrics say when it ends."""
    family = next(iter(hosting.daemon.metrics.certificate_not_after_timestamp_seconds.collect()))
    return {sample.labels["authority"] for sample in family.samples}


def not_reloaded(hosting: Hosting) -> dict[str, float]:
    """The authorities of which the metric says that they are not as their files say."""
    family = next(iter(hosting.daemon.metrics.authority_not_reloaded.collect()))
    return {sample.labels["authority"]: sample.value for sample in family.samples}


async def until_at_work(hosting: Hosting, name: str, number: int) -> None:
    sink = hosting.sink_of(name)

    async def is_at_work() -> bool:
        return sink.at_work >= number

    await until(is_at_work)
