# SPDX-License-Identifier: EUPL-1.2

"""What a release consists of: every dependency is locked with its hashes, and the bill of materials has them all."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-run.lock")
_PINNED = re.compile(r"(?m)^([a-z0-9][a-z0-9.-]*)==(\S+)")


def pinned(lock: str) -> dict[str, str]:
    return dict(_PINNED.findall((ROOT / lock).read_text()))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_dependency_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"(?m)^(?=[a-z0-9])", re.sub(r"(?m)^#.*\n", "", text))[1:]
    assert len(blocks) == len(pinned(lock)) > 20
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_what_runs_is_what_was_tested() -> None:
    tested = pinned("requirements.lock")
    assert {name: tested.get(name) for name in pinned("requirements-run.lock")} == pinned(
        "requirements-run.lock"
    )


def test_the_bill_of_materials_has_every_dependency_that_runs(tmp_path: Path) -> None:
    """The recipe of `make sbom`, without the network."""
    recipe = (ROOT / "Makefile").read_text().partition("\nsbom:")[2].partition("\n\n")[0].replace("\\\n", " ")
    command = next(line.split() for line in recipe.splitlines() if "cyclonedx-py" in line)
    made = tmp_path / "sbom.json"
    words = [str(made) if word == "build/sbom.json" else word for word in command[1:]]
    tool = Path(sys.executable).parent / "cyclonedx-py"
    subprocess.run([str(tool), *words], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(made.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert bill["metadata"]["component"]["name"] == project["name"]
    listed = {one["name"]: one["version"] for one in bill["components"]}
    assert listed == pinned("requirements-run.lock")
