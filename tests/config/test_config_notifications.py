# SPDX-License-Identifier: EUPL-1.2

"""Channels and pings by the clock are checked when the configuration is read."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from adapter.config import Config, MailTls, NotificationEvent, WebhookFormat

Load = Callable[..., Config]
Problems = Callable[..., tuple[str, ...]]

TABLE = "\n[notifications.beheer]\n"
EMAIL = 'type = "email"\nserver = "mail.example.nl"\nfrom = "stam@example.nl"\nto = ["beheer@example.nl"]\n'
WEBHOOK = 'type = "webhook"\nurl = "https://hooks.example.nl/abc?sig=1"\n'


def test_without_the_table_nobody_is_told(load: Load, whole: str) -> None:
    assert not load(whole).notifications


def test_little_is_needed_for_a_mail(load: Load, whole: str) -> None:
    channel = load(whole + TABLE + EMAIL).notifications["beheer"]
    assert (channel.tls, channel.mail_port, channel.sender) == (MailTls.STARTTLS, 587, "stam@example.nl")
    assert channel.events == tuple(NotificationEvent)
    assert channel.only is None
    assert (channel.every, channel.again) == (timedelta(minutes=15), timedelta(hours=24))


def test_little_is_needed_for_a_webhook(load: Load, whole: str) -> None:
    channel = load(f'{whole}{TABLE}{WEBHOOK}authorities = ["voorbeeldstad"]\n').notifications["beheer"]
    assert channel.format is WebhookFormat.JSON
    assert channel.only == {"voorbeeldstad"}


def test_files_are_found_beside_the_configuration(load: Load, whole: str, tmp_path: Path) -> None:
    text = f'{whole}{TABLE}{EMAIL}user = "stam"\npassword_file = "mail.password"\nroots = "roots.pem"\n'
    channel = load(text).notifications["beheer"]
    assert channel.password_file == tmp_path / "mail.password"
    assert channel.roots == tmp_path / "roots.pem"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('type = "sms"\n', "type: 'sms' is not known; use 'email' or 'webhook'"),
        ('type = "email"\n', "e-mail needs server, from and to"),
        ('type = "webhook"\n', "a webhook has one address; give url, or url_file"),
        (EMAIL + 'url = "https://x.nl/"\n', 'type "email" has no url; it has server, port, tls'),
        (WEBHOOK + 'from = "a@example.nl"\n', 'type "webhook" has no from; it has url'),
        (EMAIL + 'user = "stam"\n', "user and password_file go together"),
        (EMAIL.replace("beheer@example.nl", "Beheer <beheer@example.nl>"), "to[0]: "),
        (EMAIL + 'tls = "none"\n', 'tls: "none" is not allowed in environment pre'),
        (WEBHOOK.replace("https", "http"), "url: plain HTTP is not allowed in environment pre"),
        (WEBHOOK + 'events = ["parkd"]\n', "events[0]: 'parkd' is not known"),
        (WEBHOOK + 'authorities = ["voorbeeldstd"]\n', "did you mean `voorbeeldstad`?"),
        (WEBHOOK + "evry = 1\n", "evry: unknown key; did you mean `every`?"),
    ],
)
def test_what_is_wrong_is_said(problems: Problems, whole: str, options: str, said: str) -> None:
    found = problems(whole + TABLE + options)
    assert any("notifications.beheer" in problem and said in problem for problem in found), found


def test_a_mail_server_on_this_machine_needs_no_tls(load: Load, whole: str) -> None:
    local = EMAIL.replace("mail.example.nl", "localhost")
    assert load(f'{whole}{TABLE}{local}tls = "none"\n').notifications["beheer"].mail_port == 25


def test_pings_are_off_until_somebody_asks_for_them(load: Load, whole: str) -> None:
    assert load(whole).authorities["voorbeeldstad"].ping_every_of("CPA-1") is None


def test_an_agreement_can_differ_in_its_pings(load: Load, whole: str) -> None:
    settings = load(
        whole.replace('party = "', 'ping_every = "15m"\nparty = "')
        + '\n[authorities.voorbeeldstad.agreements."CPA-9"]\nping_every = "off"\n'
        + '\n[authorities.voorbeeldstad.agreements."CPA-2"]\nping_failures = 1\n'
    ).authorities["voorbeeldstad"]
    assert settings.ping_every_of("CPA-9") is None
    assert settings.ping_every_of("CPA-2") == timedelta(minutes=15)
    assert settings.ping_failures_of("CPA-2") == 1
    assert settings.ping_failures_of("CPA-3") == 3


def test_a_partner_is_not_to_be_pinged_all_the_time(problems: Problems, whole: str) -> None:
    (problem,) = problems(whole.replace('party = "', 'ping_every = "10s"\nparty = "'))
    assert "ping_every: is too often for a partner" in problem
