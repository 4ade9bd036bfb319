# SPDX-License-Identifier: EUPL-1.2

"""`make release`: what users download, made from a tag, with a bill of materials, checksums and a signature.

It is made from what is committed and from nothing else, and comes out octet for octet the same wherever it is made
again, so that anybody can see that a release is what the source says (docs/releasing.md).
"""

import argparse
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

SIGNERS: Final = Path("release/allowed_signers")
"""Who may sign a release, in the form of ssh-keygen: users verify by it."""
NAMESPACE: Final = "stam-adapter-release"
"""What a signature is for: one that was made for something else does not count."""
IDENTITY: Final = "releases@stam-adapter"
"""The name under which the keys stand in `SIGNERS`."""
SUMS: Final = "SHA256SUMS"
LOCK: Final = "requirements-run.lock"


class NotReleased(Exception):
    """A release cannot be made; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is released: a version, and the commit with its moment in seconds since 1970."""

    root: Path
    version: str
    commit: str
    moment: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a release, or say why not; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("dist"), help="an empty or new directory (dist)")
    signing = parser.add_mutually_exclusive_group(required=True)
    signing.add_argument(
        "--key", type=Path, help="the SSH key to sign with, or its .pub where an agent has it"
    )
    signing.add_argument(
        "--unsigned", action="store_true", help="only to compare with a release that there is"
    )
    options = parser.parse_args(arguments)
    output: Path = options.output.absolute()
    try:
        source = find_source(Path.cwd())
        make_artefacts(source, output)
        if options.key is not None:
            sign(source, output, options.key.expanduser().absolute())
    except NotReleased as problem:
        print(f"not released: {problem}", file=sys.stderr)
        return 1
    for path in sorted(output.iterdir()):
        print(path)
    return 0


def find_source(root: Path) -> Source:
    """What would be released; raises NotReleased where that is not sure, or the papers do not agree."""
    version = str(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"])
    if _git(root, "status", "--porcelain"):
        raise NotReleased("there are changes that are not committed; commit or remove them")
    if f"v{version}" not in _git(root, "tag", "--points-at", "HEAD").split():
        raise NotReleased(f"HEAD has no tag v{version}; `git tag --sign v{version}` after the last change")
    said = re.search(
        rf"(?m)^## {re.escape(version)} - (\d{{4}}-\d\d-\d\d)$", (root / "CHANGELOG.md").read_text("utf-8")
    )
    if said is None:
        raise NotReleased(f"CHANGELOG.md has no heading '## {version} - <date>'; make it of 'Unreleased'")
    code = yaml.safe_load((root / "publiccode.yml").read_text("utf-8"))
    if (code["softwareVersion"], code["releaseDate"]) != (version, said[1]):
        raise NotReleased(
            f"publiccode.yml is not of version {version} of {said[1]}; set softwareVersion and releaseDate"
        )
    commit, moment = _git(root, "show", "--no-patch", "--format=%H %ct", "HEAD").split()
    return Source(root, version, commit, int(moment))


def make_artefacts(source: Source, output: Path) -> None:
    """Write wheel, source distribution, lock, bill of materials and checksums."""
    if output.exists() and any(output.iterdir()):
        raise NotReleased(f"{output} is not empty; name another directory with --output")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stam-adapter-release-") as scratch:
        tree = Path(scratch) / "tree"
        _export(source, tree)
        _build(source, tree, output)
        (output / LOCK).write_bytes((tree / LOCK).read_bytes())
        _bill_of_materials(tree, output / f"stam-adapter-{source.version}.cdx.json")
    files = sorted(output.iterdir())
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (output / SUMS).write_text(sums, "utf-8")


def sign(source: Source, output: Path, key: Path) -> None:
    """Sign the checksums, and verify that as a user will; raises NotReleased."""
    _run(output, "ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, SUMS)
    signers = str(source.root / SIGNERS)
    verify = (
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        signers,
        "-I",
        IDENTITY,
        "-n",
        NAMESPACE,
        "-s",
        f"{SUMS}.sig",
    )
    try:
        _run(output, *verify, given=(output / SUMS).read_bytes())
    except NotReleased as problem:
        (output / f"{SUMS}.sig").unlink()
        raise NotReleased(f"nobody could verify it by {SIGNERS}: is the key there? ({problem})") from problem


def _export(source: Source, tree: Path) -> None:
    """What is committed, and nothing else, as files of the moment of the commit."""
    tree.mkdir()
    archive = _run(source.root, "git", "archive", "--format=tar", source.commit)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")


def _build(source: Source, tree: Path, output: Path) -> None:
    before = os.umask(0o022)  # rights of files are in the archives
    try:
        _run(
            tree,
            *(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output)),
            SOURCE_DATE_EPOCH=str(source.moment),
        )
    finally:
        os.umask(before)
    for path in output.glob("*.tar.gz"):
        _made_reproducible(path, source.moment)


def _made_reproducible(path: Path, moment: int) -> None:
    """Pack a source distribution again, in order, with one moment and no names of who made it."""
    packed = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = moment, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=moment) as compressed:
        compressed.write(packed.getvalue())


def _bill_of_materials(tree: Path, path: Path) -> None:
    tool = Path(sys.executable).parent / "cyclonedx-py"
    _run(
        tree,
        *(str(tool), "requirements", "--pyproject", "pyproject.toml", "--output-reproducible"),
        *("--output-format", "JSON", "--output-file", str(path), LOCK),
    )


def _git(root: Path, *arguments: str) -> str:
    return _run(root, "git", *arguments).decode().strip()


def _run(directory: Path, *command: str, given: bytes = b"", **environ: str) -> bytes:
    """What a program says; raises NotReleased with it where it fails."""
    try:
        done = subprocess.run(
            command, cwd=directory, env=os.environ | environ, input=given, capture_output=True, check=False
        )
    except FileNotFoundError as missing:
        raise NotReleased(f"there is no {command[0]}; install it") from missing
    if done.returncode != 0:
        raise NotReleased(f"{' '.join(command)}: {(done.stderr or done.stdout).decode().strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
