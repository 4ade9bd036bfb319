# SPDX-License-Identifier: EUPL-1.2

"""E-mail to a real mail server: what is sent, and what becomes of a server that does not do what it should."""

import asyncio
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from adapter.config import ChannelConfig
from adapter.notify import ChannelProblem, Notification
from adapter.notify.channel import trust_of
from adapter.notify.mail import MailChannel
from adapter.pki import client_context
from tests.notify.conftest import START
from tests.notify.servers import PASSWORD, USER, MailServer, mail_server

Make = Callable[..., Notification]


def channel(server: MailServer, longest: float = 30.0, **options: Any) -> MailChannel:
    table = {
        "type": "email",
        "server": "localhost",
        "port": server.port,
        "from": "stam@example.nl",
        "to": ["beheer@example.nl", "piket@example.nl"],
    }
    config = ChannelConfig.model_validate({**table, **options})
    return MailChannel("beheer", config, client_context(None, trust_of(config)), longest)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "mail.password"
    path.write_text(PASSWORD + "\n")
    return path


async def test_a_mail_goes_over_starttls_to_whom_it_knows_by_password(
    tls: ssl.SSLContext, roots: Path, password: Path, notification: Make
) -> None:
    async with mail_server(starttls=tls, login=True) as server:
        mail = channel(server, roots=roots, user=USER, password_file=password)
        await mail.send(notification())
        assert "logged in as stam-adapter" in await mail.probe()
        await mail.close()
    assert server.recipients == [["beheer@example.nl", "piket@example.nl"]]
    assert len(server.mails) == 1


async def test_a_mail_goes_over_tls_from_the_start(
    tls: ssl.SSLContext, roots: Path, notification: Make
) -> None:
    async with mail_server(tls=tls) as server:
        await channel(server, roots=roots, tls="tls").send(notification())
    assert len(server.mails) == 1


async def test_a_mail_is_what_mail_programs_expect(notification: Make) -> None:
    made = notification()
    async with mail_server() as server:
        mail = channel(server, tls="none")
        await mail.send(made)
        await mail.send(made)
    first, second = server.mails
    assert first["From"] == "stam@example.nl"
    assert first["Subject"] == "[stam-adapter test] proefbericht"
    assert first["Date"].datetime == START
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Message-ID"] == f"<{made.id}@example.nl>"
    assert second["Message-ID"] == first["Message-ID"], "what is sent again is the same mail"
    assert first["References"] == "<beheer.test.stam-adapter@example.nl>"
    assert first.get_content_type() == "multipart/alternative"
    text, html = cast("list[EmailMessage]", list(first.iter_parts()))
    assert "kanaal beheer" in text.get_content()
    assert 'lang="nl"' in html.get_content()
    assert "https://stam.example.nl/" in html.get_content()


async def test_a_mail_in_english_has_english_words(notification: Make) -> None:
    async with mail_server() as server:
        await channel(server, tls="none", language="en").send(notification(language="en"))
    assert server.mails[0]["Subject"] == "[stam-adapter test] test message"


async def test_a_server_without_starttls_gets_no_password(password: Path, notification: Make) -> None:
    async with mail_server(login=True) as server:
        mail = channel(server, user=USER, password_file=password)
        with pytest.raises(ChannelProblem, match="STARTTLS"):
            await mail.send(notification())
    assert not server.mails


async def test_a_server_that_cannot_prove_who_it_is_gets_nothing(
    tls: ssl.SSLContext, notification: Make
) -> None:
    async with mail_server(starttls=tls) as server:
        with pytest.raises(ChannelProblem, match="certificate verify failed"):
            await channel(server).send(notification())
    assert not server.mails


async def test_a_wrong_password_is_said_without_saying_it(
    tls: ssl.SSLContext, roots: Path, tmp_path: Path, notification: Make
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("welkom01")
    async with mail_server(starttls=tls, login=True) as server:
        mail = channel(server, roots=roots, user=USER, password_file=wrong)
        with pytest.raises(ChannelProblem, match="does not take user and password: 535") as caught:
            await mail.send(notification())
    assert "welkom01" not in str(caught.value)


async def test_what_a_server_refuses_is_said(notification: Make) -> None:
    async with mail_server() as server:
        server.refuse = "552 too much"
        with pytest.raises(ChannelProblem, match="552 too much"):
            await channel(server, tls="none").send(notification())


async def test_a_server_that_takes_no_recipient_fails(notification: Make) -> None:
    async with mail_server() as server:
        server.strangers = frozenset({"beheer@example.nl", "piket@example.nl"})
        with pytest.raises(ChannelProblem, match=r"beheer@example\.nl is refused: 550"):
            await channel(server, tls="none").send(notification())


async def test_a_recipient_that_is_refused_keeps_others_from_nothing(notification: Make) -> None:
    async with mail_server() as server:
        server.strangers = frozenset({"piket@example.nl"})
        with capture_logs() as lines:
            await channel(server, tls="none").send(notification())
    assert server.recipients == [["beheer@example.nl"]]
    assert [line["recipient"] for line in lines if line["action"] == "notification.recipient_refused"] == [
        "piket@example.nl"
    ]


async def test_a_server_that_is_not_there_is_said(notification: Make) -> None:
    async with mail_server() as server:
        pass
    with pytest.raises(ChannelProblem, match=r"localhost:\d+: Connection refused"):
        await channel(server, tls="none").send(notification())


async def test_a_server_that_is_silent_is_not_waited_for(notification: Make) -> None:
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    server = MailServer(port=silent.sockets[0].getsockname()[1])
    mail = channel(server, longest=0.2, tls="none")
    with pytest.raises(ChannelProblem, match=r"was not done within 0.2 s"):
        await mail.send(notification())
    silent.close()
    for writer in writers:
        writer.close()
    await mail.close()
