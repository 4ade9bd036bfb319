# SPDX-License-Identifier: EUPL-1.2

"""`notify test` sends by each channel; `check` looks at each and sends nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from typer.testing import Result

from adapter.simulator import World
from tests.notify.servers import SECRET, MailServer, WebhookReceiver, mail_server, webhook_receiver

Cli = Callable[..., Result]

CHANNELS = """
[notifications.beheer]
type = "email"
server = "localhost"
port = {port}
tls = "none"
from = "stam@example.nl"
to = ["beheer@example.nl"]

[notifications.chat]
type = "webhook"
url = "{url}"
secret_file = "webhook.secret"
"""


@pytest.fixture
async def servers(world: World) -> AsyncIterator[tuple[MailServer, WebhookReceiver]]:
    """A world with two channels, and the servers of these."""
    (world.directory / "webhook.secret").write_text(SECRET)
    async with mail_server() as mail, webhook_receiver() as receiver:
        text = CHANNELS.format(port=mail.port, url=receiver.url)
        world.config.write_text(world.config.read_text() + text)
        yield mail, receiver


async def run(cli: Cli, *args: object) -> Result:
    return await asyncio.to_thread(cli, *args)


async def test_each_channel_gets_a_test_notification(
    world: World, servers: tuple[MailServer, WebhookReceiver], cli: Cli
) -> None:
    mail, receiver = servers
    result = await run(cli, "notify", "test", "--config", world.config, "--json")
    assert result.exit_code == 0, result.stderr
    assert [(row["channel"], row["result"]) for row in json.loads(result.stdout)] == [
        ("beheer", "sent"),
        ("chat", "sent"),
    ]
    assert mail.mails[0]["Subject"] == "[stam-adapter test] proefbericht"
    assert receiver.posted[0]["type"] == "test"


async def test_a_channel_that_fails_is_shown_and_the_others_are_sent(
    world: World, servers: tuple[MailServer, WebhookReceiver], cli: Cli
) -> None:
    mail, receiver = servers
    mail.refuse = "554 go away"
    result = await run(cli, "notify", "test", "--config", world.config)
    assert result.exit_code == 1
    assert "554 go away" in result.stdout
    assert "1 of 2 channels failed" in result.stderr
    assert len(receiver.posted) == 1


async def test_one_channel_can_be_chosen(
    world: World, servers: tuple[MailServer, WebhookReceiver], cli: Cli
) -> None:
    mail, receiver = servers
    assert (await run(cli, "notify", "test", "--channel", "chat", "--config", world.config)).exit_code == 0
    assert not mail.mails
    assert len(receiver.posted) == 1
    result = await run(cli, "notify", "test", "--channel", "chta", "--config", world.config)
    assert result.exit_code == 2
    assert "known: beheer, chat" in result.stderr


async def test_a_check_connects_and_sends_nothing(
    world: World, servers: tuple[MailServer, WebhookReceiver], cli: Cli
) -> None:
    mail, receiver = servers
    result = await run(cli, "check", "--config", world.config, "--json")
    lines = {(line["what"], line["name"]): line for line in json.loads(result.stdout)}
    assert lines["notifications", "beheer"]["result"] == "ok"
    assert lines["notifications", "chat"]["result"] == "ok"
    assert "[admin] url" in lines["notifications", "links"]["detail"]
    assert not mail.mails
    assert not receiver.posted


async def test_a_check_says_which_channel_cannot_be_reached_and_which_is_wrong(
    world: World, servers: tuple[MailServer, WebhookReceiver], cli: Cli
) -> None:
    mail, _ = servers
    text = world.config.read_text().replace(f"port = {mail.port}", "port = 1")
    world.config.write_text(text.replace("webhook.secret", "absent.secret"))
    result = await run(cli, "check", "--config", world.config, "--json")
    lines = {(line["what"], line["name"]): line for line in json.loads(result.stdout)}
    assert result.exit_code == 78
    assert "Connection refused" in lines["notifications", "beheer"]["detail"]
    assert "absent.secret cannot be read" in lines["notifications", "chat"]["detail"]


async def test_without_channels_there_is_nothing_to_test(world: World, cli: Cli, tmp_path: Path) -> None:
    result = await run(cli, "notify", "test", "--config", world.config)
    assert result.exit_code == 0
    assert "has no channels" in result.stderr
