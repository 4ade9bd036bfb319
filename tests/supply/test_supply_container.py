# SPDX-License-Identifier: EUPL-1.2

"""What the image promises: a user that is not root, and a root file system that nothing needs to write to."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from adapter.simulator import AgreementPlan, create_world
from tests.servers import do_without

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: list[list[tuple[str, str]]] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.strip()))
    return found


def image() -> dict[str, str]:
    """The last instruction of each kind in the image that is shipped."""
    return dict(stages()[-1])


def test_the_image_runs_as_a_user_that_is_not_root() -> None:
    made = next(rest for word, rest in stages()[-1] if word == "RUN")
    assert re.search(
        r"useradd --system --uid 10001 --gid 10001 .*--shell /usr/sbin/nologin stam-adapter", made
    )
    assert image()["USER"] == "stam-adapter"


def test_nothing_is_installed_without_a_hash_and_no_tool_for_it_is_left() -> None:
    runs = [rest for word, rest in stages()[0] if word == "RUN"]
    installs = [run for run in runs if "pip install" in run]
    assert [("--require-hashes" in run) or ("--no-deps" in run) for run in installs] == [True] * 2
    assert "pip uninstall --yes setuptools pip" in installs[-1]
    assert "pip" not in " ".join(rest for _, rest in stages()[-1])


def test_only_what_the_build_needs_goes_to_it() -> None:
    lines = (ROOT / ".dockerignore").read_text().split("\n")
    ignored = [line for line in lines if line and not line.startswith("#")]
    assert ignored[0] == "*"
    copied = {
        name
        for stage in stages()
        for word, rest in stage
        if word == "COPY" and not rest.startswith("--from=")
        for name in rest.split()[:-1]
    }
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied


def health_check() -> list[str]:
    """The command of the health check, of this interpreter."""
    words: list[str] = json.loads(image()["HEALTHCHECK"].partition("CMD ")[2])
    assert words[0] == "stam-adapter"
    return [str(Path(sys.executable).parent / words[0]), *words[1:]]


def health_url() -> str:
    """Where the health check of the image looks."""
    found = re.search(r"STAM_ADAPTER_HEALTH_URL=(\S+)", image()["ENV"])
    assert found is not None
    return found[1]


async def test_the_daemon_needs_no_root_and_writes_to_its_state_only(tmp_path: Path) -> None:
    """As `docker run --read-only --cap-drop ALL` has it, by bubblewrap: no docker is needed to see it."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        do_without("proxies", "bubblewrap", "there is no bwrap; `apt-get install bubblewrap` brings it")
    world = create_world(tmp_path / "world", {"stad": AgreementPlan()})
    state = tmp_path / "state"
    state.mkdir()
    confined = [
        *(bwrap, "--unshare-user", "--uid", "10001", "--gid", "10001", "--cap-drop", "ALL"),
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", str(state), str(state)),
    ]
    probe = await asyncio.create_subprocess_exec(*confined, "true", stderr=asyncio.subprocess.PIPE)
    _, errors = await probe.communicate()
    if probe.returncode != 0:
        pytest.skip(f"no namespaces on this machine: {errors.decode().strip()}")
    script = Path(sys.executable).parent / "stam-adapter"
    environ = os.environ | {"STAM_ADAPTER__STATE": str(state), "PYTHONDONTWRITEBYTECODE": "1"}
    told, telling = os.pipe()
    with (tmp_path / "log").open("wb") as log:
        confined[1:1] = ["--die-with-parent", "--info-fd", str(telling)]
        daemon = await asyncio.create_subprocess_exec(
            *(*confined, str(script), "run", "--config", str(world.config)),
            env=environ,
            stdout=log,
            stderr=log,
            pass_fds=[telling],
        )
    os.close(telling)
    with os.fdopen(told) as info:
        inside: int = json.loads(await asyncio.to_thread(info.read))["child-pid"]
    try:
        url = f"http://127.0.0.1:{world.ports.admin}/health/ready"
        await until_ready(url, daemon, tmp_path / "log")
        there = health_url().replace("8080", str(world.ports.admin))
        through_a_proxy = environ | {"http_proxy": "http://127.0.0.1:9", "STAM_ADAPTER_HEALTH_URL": there}
        checked = await asyncio.create_subprocess_exec(*health_check(), env=through_a_proxy, cwd="/")
        assert await checked.wait() == 0
    finally:
        os.kill(inside, signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await daemon.wait()
    assert daemon.returncode == 0
    assert {path.name for path in state.iterdir()} >= {"spool"}


async def until_ready(url: str, daemon: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
        while True:
            assert daemon.returncode is None, log
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
