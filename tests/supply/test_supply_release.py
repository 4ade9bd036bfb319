# SPDX-License-Identifier: EUPL-1.2

"""A release of this tree, made with a throw-away key, and verified as docs/releasing.md tells users to."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.servers import do_without

ROOT = Path(__file__).parents[2]
VERSION = "7.8.9"
DATE = "2030-01-31"


def said(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def new_key(directory: Path, name: str) -> Path:
    said("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", directory / name, cwd=directory)
    return directory / name


@dataclass
class Clone:
    """A repository that is ready to be released."""

    root: Path
    key: Path

    def release(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "release", *map(str, arguments)]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)

    def git(self, *arguments: str) -> None:
        author = ("-c", "user.name=Tester", "-c", "user.email=tester@example.nl")
        said("git", *author, *arguments, cwd=self.root)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    if shutil.which("ssh-keygen") is None:
        do_without("ssh", "ssh-keygen", "there is no ssh-keygen; `apt-get install openssh-client` brings it")
    directory = tmp_path_factory.mktemp("release")
    root = directory / "clone"
    tracked = said("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    for name in tracked:
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    made = Clone(root, new_key(directory, "maintainer"))
    signer = (
        f'releases@stam-adapter namespaces="stam-adapter-release" {made.key.with_suffix(".pub").read_text()}'
    )
    with (root / "release" / "allowed_signers").open("a") as signers:
        signers.write(signer)
    change(root / "pyproject.toml", r'(?m)^version = ".*"', f'version = "{VERSION}"')
    change(root / "publiccode.yml", r"softwareVersion: .*", f"softwareVersion: {VERSION}")
    change(root / "publiccode.yml", r"releaseDate: .*", f'releaseDate: "{DATE}"')
    change(root / "CHANGELOG.md", r"(?m)^## Unreleased$", f"## {VERSION} - {DATE}")
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "A release")
    made.git("tag", f"v{VERSION}")
    return made


def change(path: Path, old: str, new: str) -> None:
    text, count = re.subn(old, new, path.read_text("utf-8"), count=1)
    assert count == 1
    path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def released(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("released") / "dist"
    done = clone.release("--output", output, "--key", clone.key)
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture
def downloaded(released: Path, clone: Clone, tmp_path: Path) -> Path:
    """What a user has: the files, and from elsewhere who may sign."""
    directory = tmp_path / "downloaded"
    shutil.copytree(released, directory)
    shutil.copy(clone.root / "release" / "allowed_signers", directory)
    return directory


def verified(directory: Path) -> subprocess.CompletedProcess[str]:
    """The first block of code of the document under "Verify a release", as it stands there."""
    text = (ROOT / "docs" / "releasing.md").read_text("utf-8")
    after = text[: text.index("\n## Verify a release\n")].count("\n")
    block = next(block for block in blocks() if block.document == "docs/releasing.md" and block.line > after)
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_a_release_has_all_that_is_promised(released: Path) -> None:
    assert {path.name for path in released.iterdir()} == {
        f"stam_adapter-{VERSION}-py3-none-any.whl",
        f"stam_adapter-{VERSION}.tar.gz",
        f"stam-adapter-{VERSION}.cdx.json",
        "requirements-run.lock",
        "SHA256SUMS",
        "SHA256SUMS.sig",
    }


def test_a_user_can_verify_it(downloaded: Path) -> None:
    done = verified(downloaded)
    assert done.returncode == 0, done.stderr
    assert 'Good "stam-adapter-release" signature for releases@stam-adapter' in done.stdout
    assert done.stdout.count(": OK") == 4


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def of_another(directory: Path) -> None:
    (directory / "SHA256SUMS.sig").unlink()
    key = new_key(directory.parent, "stranger")
    said(
        "ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "stam-adapter-release", "SHA256SUMS", cwd=directory
    )


@pytest.mark.parametrize(
    "harm",
    [
        lambda directory: append(next(directory.glob("*.whl"))),
        lambda directory: append(directory / "requirements-run.lock"),
        lambda directory: append(directory / "SHA256SUMS"),
        of_another,
    ],
    ids=["changed-wheel", "changed-lock", "changed-sums", "signed-by-another"],
)
def test_a_release_that_was_tampered_with_is_noticed(downloaded: Path, harm: Callable[[Path], None]) -> None:
    harm(downloaded)
    assert verified(downloaded).returncode != 0


def test_it_comes_out_the_same_when_it_is_made_again(clone: Clone, released: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert clone.release("--output", again, "--unsigned").returncode == 0
    assert (again / "SHA256SUMS").read_text() == (released / "SHA256SUMS").read_text()


def test_the_archives_hold_the_program_and_tell_nothing_of_who_made_them(released: Path) -> None:
    with zipfile.ZipFile(next(released.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert {"adapter/cli/app.py", "cpa/py.typed"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "release/"))]
    with tarfile.open(next(released.glob("*.tar.gz"))) as source:
        members = source.getmembers()
    assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "", "")}
    assert len({one.mtime for one in members}) == 1


def test_the_bill_of_materials_is_of_this_version(released: Path) -> None:
    bill = json.loads((released / f"stam-adapter-{VERSION}.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["version"] == VERSION


@pytest.fixture
def own(clone: Clone, tmp_path: Path) -> Clone:
    """A clone to change."""
    root = tmp_path / "own"
    shutil.copytree(clone.root, root)
    return Clone(root, clone.key)


def refused(own: Clone, *arguments: str | Path) -> str:
    done = own.release("--output", own.root.parent / "dist", *(arguments or ("--unsigned",)))
    assert done.returncode == 1
    return done.stderr


def test_what_is_not_committed_is_not_released(own: Clone) -> None:
    append(own.root / "README.md")
    assert "not committed" in refused(own)


def test_what_is_not_tagged_is_not_released(own: Clone) -> None:
    own.git("tag", "--delete", f"v{VERSION}")
    assert f"HEAD has no tag v{VERSION}" in refused(own)


@pytest.mark.parametrize("paper", ["CHANGELOG.md", "publiccode.yml"])
def test_papers_of_another_version_are_not_released(own: Clone, paper: str) -> None:
    change(own.root / paper, re.escape(VERSION), "7.8.8")
    own.git("commit", "--quiet", "--all", "--message", "Another version")
    own.git("tag", "--force", f"v{VERSION}")
    assert paper in refused(own)


def test_a_key_that_users_do_not_know_does_not_sign(own: Clone, tmp_path: Path) -> None:
    assert "nobody could verify it" in refused(own, "--key", new_key(tmp_path, "stranger"))
    assert not (tmp_path / "dist" / "SHA256SUMS.sig").exists()


def test_a_directory_with_something_in_it_is_left_alone(clone: Clone, released: Path) -> None:
    done = clone.release("--output", released, "--unsigned")
    assert done.returncode == 1
    assert "is not empty" in done.stderr
