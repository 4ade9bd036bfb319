# SPDX-License-Identifier: EUPL-1.2

"""Webhooks: what is posted, how it is signed, and what an answer means."""

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapter.config import ChannelConfig, OutgoingConfig, WebhookFormat
from adapter.notify import ChannelProblem, Notification
from adapter.notify.channel import trust_of
from adapter.notify.webhook import WebhookChannel, sign, write_body
from tests.notify.conftest import START
from tests.notify.servers import SECRET, WebhookReceiver, webhook_receiver

ROOT = Path(__file__).resolve().parents[2]

Make = Callable[..., Notification]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "webhook.secret"
    path.write_text(SECRET)
    return path


def channel(receiver: WebhookReceiver, **options: Any) -> WebhookChannel:
    config = ChannelConfig.model_validate({"type": "webhook", "url": receiver.url, **options})
    trust = trust_of(config)
    return WebhookChannel("beheer", config, trust, OutgoingConfig(), lambda: START, allow_plain=True)


async def test_what_is_posted_is_signed_and_says_what_there_is(
    tls: ssl.SSLContext, roots: Path, secret: Path, notification: Make
) -> None:
    made = notification()
    async with webhook_receiver(tls) as receiver:
        hook = channel(receiver, roots=roots, secret_file=secret)
        await hook.send(made)
        await hook.close()
    assert receiver.ids == [made.id]
    (posted,) = receiver.posted
    assert posted["type"] == "test"
    assert posted["groups"][0]["items"][0]["link"] == "https://stam.example.nl/"


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_the_document_shows_verifies_a_signature() -> None:
    text = (ROOT / "docs" / "notifications.md").read_text("utf-8")
    shown: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], shown)
    now = int(datetime.now(UTC).timestamp())
    for secret in (SECRET, "any other text"):
        headers = {
            "webhook-id": "1",
            "webhook-timestamp": str(now),
            "webhook-signature": f"v1,AAAA {sign(secret, '1', now, b'{}')}",
        }
        assert shown["is_genuine"](headers, b"{}", secret)
        assert not shown["is_genuine"](headers, b"[]", secret)
        old = headers | {"webhook-timestamp": str(now - 3600)}
        assert not shown["is_genuine"](old, b"{}", secret)


async def test_who_does_not_know_the_secret_posts_in_vain(tmp_path: Path, notification: Make) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("another secret")
    async with webhook_receiver() as receiver:
        hook = channel(receiver, secret_file=wrong)
        with pytest.raises(ChannelProblem, match="localhost answers 401"):
            await hook.send(notification())
        await hook.close()


async def test_a_secret_can_be_replaced_while_the_channel_is_used(
    tmp_path: Path, secret: Path, notification: Make
) -> None:
    path = tmp_path / "replaced"
    path.write_text("an old secret")
    async with webhook_receiver() as receiver:
        hook = channel(receiver, secret_file=path)
        with pytest.raises(ChannelProblem):
            await hook.send(notification())
        path.write_text(SECRET)
        await hook.send(notification())
        await hook.close()
    assert len(receiver.posted) == 1


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_any_status_but_success_is_a_failure_that_does_not_show_the_address(
    status: int, secret: Path, notification: Make
) -> None:
    async with webhook_receiver() as receiver:
        receiver.status = status
        hook = channel(receiver, secret_file=secret)
        with pytest.raises(ChannelProblem, match=str(status)) as caught:
            await hook.send(notification())
        await hook.close()
    assert "secret-path" not in str(caught.value)


async def test_a_receiver_that_cannot_prove_who_it_is_gets_nothing(
    tls: ssl.SSLContext, secret: Path, notification: Make
) -> None:
    async with webhook_receiver(tls) as receiver:
        hook = channel(receiver, secret_file=secret)
        with pytest.raises(ChannelProblem, match="TLS failed"):
            await hook.send(notification())
        await hook.close()
    assert not receiver.posted


async def test_the_address_may_stand_in_a_file(tmp_path: Path, secret: Path, notification: Make) -> None:
    async with webhook_receiver() as receiver:
        path = tmp_path / "url"
        path.write_text(receiver.url)
        config = ChannelConfig.model_validate({"type": "webhook", "url_file": path, "secret_file": secret})
        hook = WebhookChannel("beheer", config, None, OutgoingConfig(), lambda: START, allow_plain=True)
        await hook.send(notification())
        await hook.close()
    assert len(receiver.posted) == 1


async def test_a_probe_posts_nothing(secret: Path) -> None:
    async with webhook_receiver() as receiver:
        hook = channel(receiver, secret_file=secret)
        assert "answers, with 405" in await hook.probe()
        await hook.close()
    assert not receiver.posted


def test_slack_and_teams_get_what_they_take(notification: Make) -> None:
    slack = json.loads(write_body(notification(), WebhookFormat.SLACK))
    assert slack["text"].startswith("*[stam-adapter test] proefbericht*")
    assert "<https://stam.example.nl/|" in slack["text"]
    teams = json.loads(write_body(notification(), WebhookFormat.TEAMS))
    card = teams["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard"
    assert card["actions"][0]["url"] == "https://stam.example.nl/"
