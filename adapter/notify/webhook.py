# SPDX-License-Identifier: EUPL-1.2

"""The channel webhook: a POST of JSON, signed as Standard Webhooks says (standardwebhooks.com), or what a chat service
takes.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from adapter.config import ChannelConfig, OutgoingConfig, WebhookFormat
from adapter.net import HttpClient, NetProblem, Timeouts
from adapter.notify.channel import ChannelProblem, secret_of
from adapter.notify.notification import Group, Notification
from adapter.pki import TrustStore

TIMEOUTS: Final = Timeouts(
    connect=timedelta(seconds=10), read=timedelta(seconds=20), total=timedelta(seconds=60)
)

_PREFIX: Final = "whsec_"
_ANSWER: Final = 2_000


def sign(secret: str, notification_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`.

    Raises ValueError for a secret that begins as one of Standard Webhooks, and is none.
    """
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError(f"begins with {_PREFIX}, and is not base64 after that") from error
    signed = f"{notification_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def write_body(notification: Notification, format: WebhookFormat) -> bytes:
    """What is posted."""
    write = {
        WebhookFormat.JSON: _as_json,
        WebhookFormat.SLACK: _as_slack,
        WebhookFormat.TEAMS: _as_teams,
    }[format]
    return json.dumps(write(notification), ensure_ascii=False).encode()


def _as_json(notification: Notification) -> Mapping[str, Any]:
    return {
        "id": notification.id,
        "type": "test" if notification.is_test else "notification",
        "environment": notification.environment,
        "channel": notification.channel,
        "at": notification.at.isoformat(),
        "subject": notification.subject,
        "link": notification.link,
        "groups": [_group(group) for group in notification.groups],
    }


def _group(group: Group) -> Mapping[str, Any]:
    return {
        "event": group.event,
        "turn": group.turn,
        "title": group.title,
        "count": group.count,
        "items": [{"text": item.text, "link": item.link, **item.facts} for item in group.items],
    }


def _as_slack(notification: Notification) -> Mapping[str, Any]:
    lines = [f"*{_escaped(notification.subject)}*"]
    for group in notification.groups:
        lines.append(f"*{_escaped(group.title)}*")
        for item in group.items:
            text = _escaped(item.text)
            lines.append(f"• {text}" if item.link is None else f"• <{item.link}|{text}>")
        if group.more:
            lines.append(f"• … (+{group.more})")
    return {"text": "\n".join(lines)}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _as_teams(notification: Notification) -> Mapping[str, Any]:
    body: list[Mapping[str, Any]] = [_block(notification.subject, weight="Bolder", size="Medium")]
    for group in notification.groups:
        body.append(_block(group.title, weight="Bolder"))
        body += [_block(item.text) for item in group.items]
        if group.more:
            body.append(_block(f"… (+{group.more})"))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if notification.link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "stam-adapter", "url": notification.link}]
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "content": card}]}


def _block(text: str, **style: str) -> Mapping[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **style}


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """Posts notifications to one address and no other; redirects are not followed."""

    name: str
    options: ChannelConfig
    trust: TrustStore | None
    outgoing: OutgoingConfig
    clock: Callable[[], datetime]
    allow_plain: bool = False
    _clients: dict[str, HttpClient] = field(default_factory=dict)

    async def send(self, notification: Notification) -> None:
        """Post a notification; any status but 2xx is a failure."""
        url = self._url()
        body = write_body(notification, self.options.format)
        headers = {"Content-Type": "application/json", **self._signature(notification.id, body)}
        try:
            async with self._client(url).request("POST", url, headers=headers, data=body) as response:
                await response.read_beginning(_ANSWER)
                status = response.status
        except NetProblem as problem:
            raise ChannelProblem(_without_secrets(str(problem), url)) from problem
        if not 200 <= status < 300:
            raise ChannelProblem(f"{urlsplit(url).hostname} answers {status}")

    async def probe(self) -> str:
        """Connect to the server, with an OPTIONS that asks for nothing; whatever it answers will do."""
        url = self._url()
        self._signature("probe", b"")
        try:
            async with self._client(url).request("OPTIONS", url) as response:
                return f"{urlsplit(url).hostname} answers, with {response.status} to a request that sends nothing"
        except NetProblem as problem:
            raise ChannelProblem(_without_secrets(str(problem), url)) from problem

    async def close(self) -> None:
        """Close its connections."""
        for client in self._clients.values():
            await client.close()

    def _url(self) -> str:
        if self.options.url is not None:
            return self.options.url
        path = self.options.url_file
        url = secret_of(path) if path is not None else ""
        parts = urlsplit(url)
        if parts.scheme not in {"https", *(["http"] if self.allow_plain else [])} or not parts.hostname:
            raise ChannelProblem(f"{path} has no address of a webhook in it; write https://host/path")
        return url

    def _signature(self, notification_id: str, body: bytes) -> dict[str, str]:
        if self.options.secret_file is None:
            return {}
        timestamp = int(self.clock().timestamp())
        try:
            signature = sign(secret_of(self.options.secret_file), notification_id, timestamp, body)
        except ValueError as error:
            raise ChannelProblem(f"{self.options.secret_file} {error}") from error
        return {
            "webhook-id": notification_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        }

    def _client(self, url: str) -> HttpClient:
        host = urlsplit(url).hostname or ""
        if host not in self._clients:
            self._clients[host] = HttpClient(
                None,
                self.trust,
                None,
                frozenset({host}),
                TIMEOUTS,
                allow_plain=self.allow_plain,
                proxy=self.outgoing.proxy_for(host),
            )
        return self._clients[host]


def _without_secrets(text: str, url: str) -> str:
    """The path of a webhook is what keeps others from posting to it."""
    parts = urlsplit(url)
    for secret in (parts.query, parts.path):
        if len(secret) > 1:
            text = text.replace(secret, "/…")
    return text
