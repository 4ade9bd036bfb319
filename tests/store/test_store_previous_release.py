# SPDX-License-Identifier: EUPL-1.2

"""The release before works on the tables of this one: its own tests of store and worker say so.

That release is the newest tag `v…` of the history; without one, what was there before the newest migration. Its tree is
taken from git, and its tests run with the migrations of this tree, on every database that it knows.
"""

import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "adapter" / "store" / "migrations"
PLUGIN = "newest_tables"
SLOW = ("postgres", "objects", "spool", "files", "s3_access")
"""In the names of files of tests: what needs another server, or has little to do with tables; for `make chaos`."""


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout


def previous_release() -> str:
    """The commit of the release before; skips where the history is not there."""
    try:
        if git("rev-parse", "--is-shallow-repository").strip() == b"true":
            pytest.skip("a shallow clone has no earlier release; fetch the whole history")
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("there is no git, or no history to take an earlier release from")
    tags = git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-v:refname").decode().split()
    if tags:
        return tags[0]
    newest = max((MIGRATIONS / "versions").glob("v*.py"))
    added = git("log", "-1", "--format=%H", "--diff-filter=A", "--", str(newest)).decode().strip()
    return f"{added}^" if added else "HEAD"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The tree of the release before."""
    with tarfile.open(fileobj=BytesIO(git("archive", previous_release()))) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_the_release_before_passes_its_tests_on_the_tables_of_this_one(earlier: Path) -> None:
    tests = [
        str(path) for path in (earlier / "tests" / "store").glob("test_*.py") if "migrations" not in path.name
    ]
    tests = [test for test in tests if "previous_release" not in test and "steps" not in test]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "NEWEST_MIGRATIONS": str(MIGRATIONS),
    }
    is_chaos = os.environ.get("STAM_ADAPTER_CHAOS") == "1"
    if not is_chaos:
        tests = [test for test in tests if not any(part in Path(test).name for part in SLOW)]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", PLUGIN, "-p", "no:cacheprovider"]
    if not is_chaos:
        command += ["-k", "not postgresql and not processes"]
    done = subprocess.run(
        [*command, *tests, str(earlier / "tests" / "work")],
        cwd=earlier,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
