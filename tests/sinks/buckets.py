# SPDX-License-Identifier: EUPL-1.2

"""S3 sinks of tests: made as the configuration makes them, and what a consumer does with what they deliver."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from adapter.config import OutgoingConfig
from adapter.delivery import make_sink
from adapter.sinks import SINK_TYPES, S3Options
from adapter.sinks.bucket import BucketSink
from adapter.sinks.objects import Objects
from adapter.store.buckets import BucketPlace, open_bucket
from tests.s3 import Bucket
from tests.sinks.handovers import make_context


def options_of(bucket: Bucket, directory: Path, endpoint: str | None = None) -> S3Options:
    return S3Options.model_validate({"url": bucket.payloads, **bucket.settings(directory, endpoint)})


def store_of(options: S3Options) -> tuple[S3Store, BucketPlace]:
    where = BucketPlace(options.url, "url", "of this sink")
    return open_bucket(where, options, OutgoingConfig()), where


def objects_of(options: S3Options) -> Objects:
    return Objects(*store_of(options))


def sink_of(options: S3Options, **changes: Any) -> BucketSink:
    """A sink as it is made of its table in the configuration."""
    table = {key: str(value) for key, value in options.model_dump(exclude_none=True).items()}
    made = make_sink(SINK_TYPES, "emmer", {"type": "s3", **table}, make_context(Path("/"), **changes)).sink
    assert isinstance(made, BucketSink)
    return made


class Consumer:
    """Takes what has a manifest, all that it names, and removes the manifest last."""

    def __init__(self, options: S3Options) -> None:
        self.store, _ = store_of(options)
        self.taken: list[Mapping[str, bytes]] = []

    async def paths(self) -> list[str]:
        return sorted(meta["path"] for meta in await obstore.list(self.store).collect_async())

    async def content(self, path: str) -> bytes:
        return bytes(await (await obstore.get_async(self.store, path)).bytes_async())

    async def deliveries(self) -> dict[str, Mapping[str, bytes]]:
        """What is complete, by its key: the contents of its objects."""
        paths = await self.paths()
        keys = [path.removesuffix("/manifest.json") for path in paths if path.endswith("/manifest.json")]
        return {
            key: {
                path.removeprefix(f"{key}/"): await self.content(path)
                for path in paths
                if path.startswith(f"{key}/")
            }
            for key in keys
        }

    async def take_all(self) -> None:
        for key, found in (await self.deliveries()).items():
            assert_complete(found)
            await obstore.delete_async(
                self.store, [f"{key}/{path}" for path in found if path != "manifest.json"]
            )
            await obstore.delete_async(self.store, [f"{key}/manifest.json"])
            self.taken.append(found)


def assert_complete(found: Mapping[str, bytes]) -> None:
    """A delivery has exactly the files that its manifest names."""
    manifest = json.loads(found["manifest.json"])
    assert {file["path"]: file["sha256"] for file in manifest["files"]} == {
        path: hashlib.sha256(content).hexdigest()
        for path, content in found.items()
        if path not in {"manifest.json", ".empty"}
    }
