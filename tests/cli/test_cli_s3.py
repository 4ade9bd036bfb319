# SPDX-License-Identifier: EUPL-1.2

"""Commands where payloads are kept in an object store."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store
from typer.testing import Result

from adapter.config import load_config
from adapter.simulator import World
from adapter.store import (
    Database,
    MessageState,
    NewPayload,
    insert_message,
    open_spool,
    set_message_state,
)
from tests.cli.conftest import Shop
from tests.cli.test_cli_db_purge import MARKER
from tests.messages import new_message
from tests.postgresql import free_port
from tests.s3 import SECRET, Bucket
from tests.store.spools import put

Cli = Callable[..., Result]


def put_payloads_in(bucket: Bucket, world: World, old: str = "", new: str = "") -> None:
    settings = bucket.as_toml(world.directory)
    assert old in settings
    with world.config.open("a") as file:
        file.write(f"\n[store]\n{settings.replace(old, new)}")


def payloads_line(cli: Cli, world: World) -> dict[str, str]:
    result = cli("check", "--config", world.config, "--json")
    assert SECRET not in result.output
    (line,) = [one for one in json.loads(result.stdout) if one["what"] == "payloads"]
    assert (result.exit_code == 0) == (line["result"] != "error")
    return line


def test_check_proves_that_the_bucket_can_be_used_and_leaves_nothing(
    cli: Cli, world: World, bucket: Bucket
) -> None:
    put_payloads_in(bucket, world)
    line = payloads_line(cli, world)
    assert (line["name"], line["result"]) == (bucket.payloads, "ok")
    assert bucket.objects() == bucket.uploads() == []
    assert not (world.directory / "var").exists()


FAULTS = {
    "no such bucket": ("s3://test-", "s3://none-", "make the bucket"),
    "unknown access key": ("'stam'", "'nobody'", "correct access_key"),
    "wrong secret": ("s3.secret", "s3.wrong", "correct the secret key"),
    "no file with the secret": ("s3.secret", "s3.absent", "correct secret_key_file in [store.s3]"),
    "an empty secret": ("s3.secret", "s3.empty", "is empty"),
    "nobody listens": (":PORT", f":{free_port()}", "check endpoint"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_check_says_what_mends_a_bucket_that_cannot_be_used(
    cli: Cli, world: World, bucket: Bucket, fault: str
) -> None:
    old, new, fix = FAULTS[fault]
    (world.directory / "s3.wrong").write_text("another")
    (world.directory / "s3.empty").write_text("\n")
    put_payloads_in(bucket, world, old.replace("PORT", str(bucket.server.port)), new)
    line = payloads_line(cli, world)
    assert line["result"] == "error"
    assert fix in line["detail"]


def test_check_warns_of_a_bucket_that_keeps_versions(
    cli: Cli, world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = obstore.put_async

    async def versioned(store: S3Store, path: str, octets: bytes) -> Any:
        return {**await real(store, path, octets), "version": "v1"}

    monkeypatch.setattr(obstore, "put_async", versioned)
    put_payloads_in(bucket, world)
    line = payloads_line(cli, world)
    assert line["result"] == "warning"
    assert "suspend versioning" in line["detail"]


def test_check_says_that_settings_are_of_no_use_with_files(cli: Cli, world: World, bucket: Bucket) -> None:
    put_payloads_in(bucket, world, bucket.payloads, "file")
    line = payloads_line(cli, world)
    assert (line["name"], line["result"]) == ("file", "warning")


def test_check_finds_a_spool_that_is_no_directory(cli: Cli, world: World) -> None:
    (world.directory / "var").mkdir()
    (world.directory / "var" / "spool").write_text("in the way")
    assert "correct its rights" in payloads_line(cli, world)["detail"]


# --- db purge and db verify


@pytest.fixture
def stocked(shop: Shop, bucket: Bucket) -> tuple[Shop, Path]:
    """A message that may go, with a payload in the bucket, and the object of that payload."""
    put_payloads_in(bucket, shop.world)
    then = datetime.now(UTC) - timedelta(days=31)

    async def fill(db: Database) -> None:
        content = await put(open_spool(load_config(shop.world.config, {})), MARKER * 10_000)
        payloads = (NewPayload(content),)
        row = await db.write(
            insert_message, new_message(then, cpa_id=shop.cpa_id), None, then, payloads=payloads
        )
        await db.write(set_message_state, row, MessageState.RECEIVED, MessageState.PROCESSED, None, then)

    shop.use(fill)
    (path,) = bucket.objects()
    return shop, path


def test_purge_removes_the_object(stocked: tuple[Shop, Path], bucket: Bucket) -> None:
    shop, path = stocked
    assert shop.json("db", "purge", "--dry-run")["payloads"] == 1
    assert path.exists()
    assert shop.json("db", "purge")["payloads"] == 1
    assert bucket.objects() == []
    assert shop.json("db", "verify")["findings"] == []


@pytest.mark.parametrize("how", ["well", "missing", "truncated", "flipped", "orphan"])
def test_verify_finds_what_is_not_as_it_was_stored(stocked: tuple[Shop, Path], how: str) -> None:
    shop, path = stocked
    match how:
        case "missing":
            path.unlink()
        case "truncated":
            os.truncate(path, 3)
        case "flipped":
            path.write_bytes(b"X" + path.read_bytes()[1:])
        case "orphan":
            path = path.with_name("0" * 32)
            path.write_bytes(MARKER)
            os.utime(path, (0, 0))
    result = shop.run("db", "verify")
    assert result.exit_code == (0 if how == "well" else 1)
    assert (path.name in result.stdout) == (how != "well")
    assert MARKER.decode() not in result.stdout + result.stderr


@pytest.mark.parametrize("command", ["verify", "purge"])
def test_an_object_store_that_cannot_be_reached_is_not_a_finding(
    stocked: tuple[Shop, Path], command: str
) -> None:
    shop, path = stocked
    text = shop.world.config.read_text()
    shop.world.config.write_text(re.sub(r"127\.0\.0\.1:\d+'", f"127.0.0.1:{free_port()}'", text))
    result = shop.run("db", command)
    assert result.exit_code == 1
    assert "cannot be used now" in result.stderr
    assert path.exists()
