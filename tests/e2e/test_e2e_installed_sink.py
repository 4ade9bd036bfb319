# SPDX-License-Identifier: EUPL-1.2

"""A sink from another package: built, installed and used as whoever writes one does; the package is examples/sink."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from examples.sink.tests.dav import PASSWORD, USER, DavServer
from tests.e2e.conftest import Chain, until, with_sink

EXAMPLE = Path(__file__).parents[2] / "examples" / "sink"

INSTALL = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, cwd=EXAMPLE
    )


def install(source: Path, target: Path) -> None:
    """Build a package and install it in a directory, without asking any index."""
    done = run(*INSTALL, "--no-deps", "--no-build-isolation", "--target", str(target), str(source))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package of the example is installed."""
    place = tmp_path_factory.mktemp("example")
    source = place / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    install(source, place / "installed")
    return place / "installed"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a package is installed of which one module cannot be imported, and that calls another type `directory`."""
    place = tmp_path_factory.mktemp("broken")
    source = place / "source"
    source.mkdir()
    (source / "stam_sink_stuk.py").write_text("import een_pakket_dat_er_niet_is\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "stam-sink-stuk"\nversion = "1"\n'
        '[project.entry-points."stam_adapter.sinks"]\n'
        'stuk = "stam_sink_stuk:STUK"\ndirectory = "stam_sink_stuk:STUK"\n'
        '[tool.setuptools]\npy-modules = ["stam_sink_stuk"]\n'
    )
    install(source, place / "installed")
    return place / "installed"


@pytest.fixture
def dav() -> DavServer:
    return DavServer()


@pytest.fixture
async def dav_url(dav: DavServer) -> AsyncIterator[str]:
    async with TestServer(dav.app()) as server:
        yield str(server.make_url("/verzoeken"))


@pytest.fixture
def to_dav(chain: Chain, dav_url: str) -> Chain:
    """A chain that ends in the sink of the example."""
    (chain.world.directory / "dav.password").write_text(f"{PASSWORD}\n")
    with_sink(chain, f'type = "webdav"\nurl = "{dav_url}"\nuser = "{USER}"\npassword_file = "dav.password"')
    return chain


async def check(chain: Chain, *places: Path) -> tuple[int, list[Mapping[str, Any]]]:
    """The exit code and the lines of `stam-adapter check`, with packages installed."""
    command = (sys.executable, "-m", "adapter", "check", "--config", str(chain.world.config), "--json")
    path = os.pathsep.join(str(place) for place in places)
    done = await asyncio.to_thread(run, *command, PYTHONPATH=path)
    return done.returncode, json.loads(done.stdout)


def told(lines: list[Mapping[str, Any]], what: str) -> dict[str, tuple[str, str]]:
    return {line["name"]: (line["result"], line["detail"]) for line in lines if line["what"] == what}


async def test_check_knows_an_installed_type_and_probes_its_sink(
    to_dav: Chain, example: Path, dav: DavServer
) -> None:
    code, lines = await check(to_dav, example)
    assert code == 0
    assert told(lines, "sink")["voorbeeldstad.archief"][0] == "ok"
    assert dav.asked == ["PROPFIND /verzoeken"]


async def test_check_does_not_know_a_type_that_is_not_installed(to_dav: Chain) -> None:
    code, lines = await check(to_dav)
    assert code == 78
    assert "unknown sink type 'webdav'" in told(lines, "sink")["voorbeeldstad.archief"][1]


async def test_check_tells_of_a_wrong_option_of_an_installed_type(to_dav: Chain, example: Path) -> None:
    text = to_dav.world.config.read_text()
    to_dav.world.config.write_text(text.replace("user =", "usre ="))
    code, lines = await check(to_dav, example)
    assert code == 78
    details = [line["detail"] for line in lines if line["what"] == "sink"]
    assert any("sinks.archief.usre: unknown key; did you mean `user`?" in detail for detail in details)


async def test_a_package_that_is_broken_harms_no_other_and_is_named(
    to_dav: Chain, example: Path, broken: Path
) -> None:
    code, lines = await check(to_dav, example, broken)
    assert code == 0
    assert told(lines, "sink")["voorbeeldstad.archief"][0] == "ok"
    (result, detail) = told(lines, "sink type")["stuk"]
    assert result == "warning"
    assert "entry point 'stuk' of stam-sink-stuk cannot be loaded (ModuleNotFoundError" in detail


async def test_a_sink_of_a_broken_package_is_told_which_package_to_mend(chain: Chain, broken: Path) -> None:
    with_sink(chain, 'type = "stuk"\nurl = "https://stuk.example"')
    code, lines = await check(chain, broken)
    assert code == 78
    assert "of stam-sink-stuk cannot be loaded" in told(lines, "sink")["voorbeeldstad.archief"][1]


async def test_a_package_cannot_take_the_name_of_a_type_of_the_adapter(chain: Chain, broken: Path) -> None:
    code, lines = await check(chain, broken)
    assert code == 0
    assert told(lines, "sink")["voorbeeldstad.archief"][0] == "ok"
    assert told(lines, "sink type")["directory"] == (
        "warning",
        "entry point 'directory' of stam-sink-stuk has the name of a type that the adapter has itself, which is used",
    )


async def test_the_daemon_delivers_by_an_installed_sink(
    to_dav: Chain, example: Path, broken: Path, dav: DavServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{example}{os.pathsep}{broken}")
    adapter = to_dav.adapter
    await adapter.run()
    verzoek = to_dav.verzoek()
    sent = await to_dav.dso.announce(to_dav.world.authorities[0], verzoek)
    assert not (await to_dav.dso.msh.wait_for(sent.message_id)).problems
    collection = f"/verzoeken/{verzoek.verzoeknummer}-000"

    async def is_there() -> bool:
        return collection in dav.collections

    await until(is_there)
    found = dav.below(collection)
    assert found["verzoek.xml"] == verzoek.xml
    assert found["verzoek.pdf"] == verzoek.pdf
    assert {file["path"] for file in json.loads(found["manifest.json"])["files"]} | {"manifest.json"} == set(
        found
    )
    assert await adapter.stop() == 0


def test_the_tests_of_the_example_pass_against_what_is_installed(example: Path) -> None:
    tests = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml", "tests")
    done = run(*tests, PYTHONPATH=str(example), PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
