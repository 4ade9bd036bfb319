# SPDX-License-Identifier: EUPL-1.2

"""The channel e-mail: a mail with text and HTML (RFC 5322, RFC 3834), submitted to a mail server (RFC 6409).

The library is blocking, so each channel has one thread of its own: what a server holds up is its own channel alone.
"""

import asyncio
import smtplib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from ssl import SSLContext
from typing import Final

from adapter.config import ChannelConfig, MailTls
from adapter.notify.channel import ChannelProblem, secret_of
from adapter.notify.notification import Notification
from adapter.observe import get_logger
from adapter.rendering import read_words, templates_of

log = get_logger(__name__)

STEP_SECONDS: Final = 15.0
"""How long the server may be silent."""

LONGEST_SECONDS: Final = 60.0
"""How long sending is waited for in all."""

_LONGEST_REASON: Final = 200


def build_mail(notification: Notification, options: ChannelConfig) -> EmailMessage:
    """The mail of a notification: the same Message-ID when it is sent again, one thread for each channel."""
    sender = options.sender or ""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(options.to)
    mail["Subject"] = notification.subject
    mail["Date"] = format_datetime(notification.at)
    mail["Message-ID"] = f"<{notification.id}@{domain}>"
    # the first mail of a thread that was never sent, which keeps all of a channel together
    mail["References"] = f"<{notification.channel}.{notification.environment}.stam-adapter@{domain}>"
    mail["List-Id"] = f"<{notification.channel}.{notification.environment}.stam-adapter.{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(notification.text() + "\n")
    page = read_words(__package__, "words", notification.language)["page"]
    html = templates_of(__package__).get_template("mail.html.j2").render(n=notification, w=page)
    mail.add_alternative(html, subtype="html")
    return mail


@dataclass(frozen=True, slots=True)
class MailChannel:
    """Sends notifications as mail; `context` is that of TLS."""

    name: str
    options: ChannelConfig
    context: SSLContext
    longest: float = LONGEST_SECONDS
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "notify-mail"))

    async def send(self, notification: Notification) -> None:
        """Send a notification to all recipients; those whom the server refuses are said, when it took others."""
        await self._in_thread(lambda: self._submit(build_mail(notification, self.options)))

    async def probe(self) -> str:
        """Connect and log in, without sending."""
        await self._in_thread(self._look)
        who = f"logged in as {self.options.user}" if self.options.user is not None else "connected"
        return f"{who} at {self._where}, for {', '.join(self.options.to)}"

    async def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def _where(self) -> str:
        return f"{self.options.server}:{self.options.mail_port}"

    async def _in_thread(self, work: Callable[[], None]) -> None:
        try:
            async with asyncio.timeout(self.longest):
                await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError as error:
            raise ChannelProblem(f"{self._where} was not done within {self.longest:g} s") from error

    def _submit(self, mail: EmailMessage) -> None:
        with self._session() as server:
            refused = server.send_message(mail)
        for recipient, (status, reason) in refused.items():
            log.warning(
                "a mail server refuses a recipient; correct `to`",
                action="notification.recipient_refused",
                channel=self.name,
                recipient=recipient,
                reason=_said(status, reason),
            )

    def _look(self) -> None:
        with self._session() as server:
            server.noop()

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A session that is logged in. Raises ChannelProblem."""
        options = self.options
        password = None if options.password_file is None else secret_of(options.password_file)
        try:
            with self._connected() as server:
                if options.tls is MailTls.STARTTLS:
                    server.starttls(context=self.context)
                if options.user is not None and password is not None:
                    server.login(options.user, password)
                yield server
        except smtplib.SMTPException as error:
            raise ChannelProblem(f"{self._where}: {_reason(error)}") from error
        except OSError as error:
            raise ChannelProblem(f"{self._where}: {error.strerror or error}") from error

    def _connected(self) -> smtplib.SMTP:
        host, port = self.options.server or "", self.options.mail_port
        if self.options.tls is MailTls.TLS:
            return smtplib.SMTP_SSL(host, port, timeout=STEP_SECONDS, context=self.context)
        return smtplib.SMTP(host, port, timeout=STEP_SECONDS)


def _reason(error: smtplib.SMTPException) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused():
            answers = error.recipients.items()
            return "; ".join(f"{who} is refused: {_said(*answer)}" for who, answer in answers)
        case smtplib.SMTPAuthenticationError():
            return f"the server does not take user and password: {_said(error.smtp_code, error.smtp_error)}"
        case smtplib.SMTPResponseException():
            return f"the server answers {_said(error.smtp_code, error.smtp_error)}"
        case smtplib.SMTPNotSupportedError():
            return f'{error} If it has no STARTTLS, set tls = "tls" where it has TLS from the start'
        case _:
            return str(error) or type(error).__name__


def _said(status: int, reason: bytes | str) -> str:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    shown = "".join(char if char.isprintable() else " " for char in text)
    return f"{status} {shown[:_LONGEST_REASON]}"
