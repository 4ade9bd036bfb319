# SPDX-License-Identifier: EUPL-1.2

"""An S3 server of our own: made for the run of the tests, and gone after it.

It is versitygw, a real S3 server on a directory, so that a test can do to an object what a disk would. Its binary is
looked for on PATH and where `go install github.com/versity/versitygw/cmd/versitygw@v1.8.0` puts it. Where it is not
there, the tests that need it skip with the reason; with STAM_ADAPTER_REQUIRE=s3 in the environment they fail instead.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adapter.config import Config
from adapter.store.objects import ObjectSpool
from adapter.store.payloads import open_spool
from tests.postgresql import START, free_port
from tests.servers import NoServer, do_without

ACCESS = "stam"
SECRET = "geheim-van-de-test"
PREFIX = "stam/payloads"


def find_binary() -> Path:
    found = shutil.which("versitygw", path=f"{os.environ.get('PATH', '')}:{Path.home() / 'go' / 'bin'}")
    if found is None:
        raise NoServer(
            "there is no versitygw; `go install github.com/versity/versitygw/cmd/versitygw@v1.8.0` makes it"
        )
    return Path(found)


@dataclass
class S3Server:
    """A running server with a directory of its own: each directory in `data` is a bucket."""

    binary: Path
    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _made: int = field(default=0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def start(self, *options: str, backend: tuple[str, ...] = ()) -> None:
        for name in ("data", "sidecar"):
            (self.directory / name).mkdir(exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(str(self.binary), "--port", f"127.0.0.1:{self.port}", *options),
                    # not every file system has the extended attributes that it would use
                    *("posix", "--sidecar", str(self.directory / "sidecar"), *backend, str(self.data)),
                ],
                stdout=log,
                stderr=log,
                env={"ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET, "HOME": str(self.directory)},
            )
        until = time.monotonic() + START
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.directory / "log").read_text(errors="replace"))
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(START)
            self.process = None

    def new_bucket(self) -> "Bucket":
        self._made += 1
        bucket = Bucket(self, f"test-{self._made}")
        (self.data / bucket.name).mkdir()
        return bucket

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass(frozen=True)
class Bucket:
    """An empty bucket, seen from the disk of its server."""

    server: S3Server
    name: str

    @property
    def payloads(self) -> str:
        """What [store] payloads is to be."""
        return f"s3://{self.name}/{PREFIX}"

    @property
    def root(self) -> Path:
        return self.server.data / self.name / PREFIX

    def objects(self) -> list[Path]:
        """The objects, as the files that they are."""
        return sorted(path for path in self.root.rglob("*") if path.is_file()) if self.root.exists() else []

    def uploads(self) -> list[Path]:
        """The parts of unfinished uploads."""
        parts = self.server.data / self.name / ".sgwtmp"
        return [path for path in parts.rglob("*") if path.is_file()] if parts.exists() else []

    def settings(self, directory: Path, endpoint: str | None = None) -> dict[str, object]:
        """The table [store.s3]; the secret is put in a file in a directory."""
        secret = directory / "s3.secret"
        secret.write_text(f"{SECRET}\n")
        return {
            "endpoint": endpoint or self.server.url,
            "region": "us-east-1",
            "access_key": ACCESS,
            "secret_key_file": str(secret),
        }

    def as_toml(self, directory: Path) -> str:
        """The table [store.s3], and [store] payloads before it."""
        lines = [f"{key} = {str(value)!r}" for key, value in self.settings(directory).items()]
        return f'payloads = "{self.payloads}"\n[store.s3]\n' + "\n".join(lines) + "\n"

    def config(self, directory: Path, endpoint: str | None = None) -> Config:
        """A configuration with its payloads in this bucket."""
        store = {"payloads": self.payloads, "s3": self.settings(directory, endpoint)}
        return Config.model_validate(
            {"environment": "test", "state": str(directory / "state"), "store": store},
            context={"base": directory},
        )

    def spool(self, directory: Path, endpoint: str | None = None) -> ObjectSpool:
        made = open_spool(self.config(directory, endpoint))
        assert isinstance(made, ObjectSpool)
        return made


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The server of this run."""
    directory = Path(tempfile.mkdtemp(prefix="stam-s3-"))
    server: S3Server | None = None
    try:
        server = S3Server(find_binary(), directory, free_port())
        server.start()
        yield server
    except NoServer as missing:
        do_without("s3", "S3", str(missing))
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory)


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    """A new, empty bucket."""
    return s3_server.new_bucket()
