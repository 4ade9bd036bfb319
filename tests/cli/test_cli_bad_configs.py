# SPDX-License-Identifier: EUPL-1.2

"""Every mistake of `tests/bad_configs` against the message that stands beside it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from typer.testing import Result

from adapter.config import ConfigProblem, load_config
from adapter.pki import ThrowawayPki
from adapter.simulator import DSO_OIN, AgreementPlan, create_world

Cli = Callable[..., Result]

BAD = Path(__file__).resolve().parents[1] / "bad_configs"
NAMES = sorted(path.stem for path in BAD.glob("*.toml"))
IN_A_PROCESS = ("syntax-text-without-quotes", "file-cpa-not-there", "file-server-key-is-a-certificate")
"""Those that are also tried as an operator would: a few, since each process takes a second."""


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the configurations name, each called after what is wrong with it."""
    place = tmp_path_factory.mktemp("materials")
    world = create_world(place, {"stad": AgreementPlan(), "dorp": AgreementPlan()})
    now, (stad, dorp), tls, cpa = datetime.now(UTC), world.authorities, place / "tls", place / "cpa"
    world.pki.issue("De stad", stad.oin).write(tls, "server")
    world.pki.issue("De stad", stad.oin).write(tls, "renewed")
    world.pki.issue("De stad", None).write(tls, "no-oin")
    stranger = ThrowawayPki(now - timedelta(days=60), name="Unknown")
    stranger.issue("De stad", stad.oin).write(tls, "stranger")
    stranger.issue("De stad", stad.oin, not_after=now - timedelta(days=1)).write(tls, "expired")
    secret = BestAvailableEncryption(b"geheim")
    key = world.pki.issue("De stad", stad.oin).key
    (tls / "encrypted.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    shutil.copy(tls / "stad.key", tls / "for-everybody.key")
    (tls / "for-everybody.key").chmod(0o644)
    (cpa / "other.xml").write_text("<verzoeken/>")
    (cpa / "van-beide.xml").write_text((cpa / "stad.xml").read_text().replace(DSO_OIN, dorp.oin))
    secrets = place / "secrets"
    secrets.mkdir()
    for name, text in {"empty": "", "token": "0123456789abcdef" * 4, "for-everybody": "fedcba" * 9}.items():
        (secrets / name).write_text(text)
        (secrets / name).chmod(0o644 if name == "for-everybody" else 0o600)
    return place


@pytest.fixture
def place(request: pytest.FixtureRequest, materials: Path, tmp_path: Path) -> Path:
    """The directory with one of the configurations, and all that it names."""
    name: str = request.param
    for directory in ("tls", "cpa", "secrets"):
        (tmp_path / directory).symlink_to(materials / directory)
    (tmp_path / "verzoeken" / "stad").mkdir(parents=True)
    (tmp_path / "verzoeken" / "dorp").mkdir()
    shutil.copy(BAD / f"{name}.toml", tmp_path / "stam-adapter.toml")
    if (BAD / f"{name}.d").exists():
        shutil.copytree(BAD / f"{name}.d", tmp_path / "authorities.d")
    return tmp_path


def variables(name: str) -> dict[str, str]:
    file = BAD / f"{name}.env"
    return dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}


def expected(name: str) -> list[str]:
    return (BAD / f"{name}.expected").read_text().splitlines()


def plain(text: str, place: Path) -> str:
    """A message without what differs between two runs."""
    return re.sub(r"\d{4}-\d\d-\d\d", "<date>", text.replace(f"{place}/", ""))


@pytest.mark.parametrize(("name", "place"), [(name, name) for name in NAMES], ids=NAMES, indirect=["place"])
def test_a_wrong_configuration_is_said_with_place_and_fix(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, place: Path
) -> None:
    for variable, value in variables(name).items():
        monkeypatch.setenv(variable, value)
    file = place / "stam-adapter.toml"
    result = cli("check", "--config", file, "--json")
    said = [line["detail"] for line in json.loads(result.stdout) if line["result"] == "error"]
    assert [plain(text, place) for text in said] == expected(name)
    assert result.exit_code == 78
    if _is_refused_at_once(file):
        daemon = cli("run", "--config", file)
        assert plain(daemon.stderr, place).splitlines() == expected(name)
        assert daemon.exit_code == 78


def _is_refused_at_once(file: Path) -> bool:
    """Whether the configuration is wrong by itself, before anything that it names is opened."""
    try:
        load_config(file, os.environ)
    except ConfigProblem:
        return True
    return False


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("name", "place"), [(name, name) for name in IN_A_PROCESS], ids=IN_A_PROCESS, indirect=["place"]
)
def test_a_process_says_the_same_and_ends_with_78(name: str, place: Path, command: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "adapter", command, "--config", str(place / "stam-adapter.toml")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables(name)},
    )
    assert ran.returncode == 78
    for line in expected(name):
        assert line in plain(ran.stdout + ran.stderr, place)


def test_there_is_a_message_beside_each_configuration_and_nothing_else() -> None:
    named = {path.name.partition(".")[0] for path in BAD.iterdir() if path.name != "README.md"}
    assert named == set(NAMES) == {path.stem for path in BAD.glob("*.expected")}
    assert len(NAMES) >= 40
