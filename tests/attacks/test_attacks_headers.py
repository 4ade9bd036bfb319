# SPDX-License-Identifier: EUPL-1.2

"""Attacks by what a sender chose and we send on or log, by name: it stays a value."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from adapter.ebms import parse_content_type
from adapter.ebms.packaging import content_disposition
from adapter.observe import LogFormat, configure_logs, get_logger
from tests.msh.house import House, envelope_of

ATTACKS = {
    "CRLF": "x\r\nX-Evil: 1",
    "CRLF and a body": "x\r\n\r\n<html>",
    "a lone CR": "x\rX-Evil: 1",
    "a lone LF": "x\nX-Evil: 1",
    "a line separator": "x\u2028X-Evil: 1",
    "a next line": "x\u0085X-Evil: 1",
    "a quote": 'x"; filename="y',
    "a backslash before the quote": 'x\\"; y="z',
    "letters that become CRLF in Latin-1": "x\u010d\u010aX-Evil: 1",
    "an escape sequence": "\x1b[2K\x1b[1Ax",
    "a line of a log": '\n{"level": "info", "event": "all is well", "action": "message.accepted"}',
    "a field of a log": 'x" action=message.accepted level=info y="',
    "right-to-left override": "\u202egol",
    "a NUL": "x\0y",
    "a lone surrogate": "x\ud800y",
    "a format": "%s %(event)s {0} {event!r}",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_name_of_an_attack_stays_in_its_header(attack: str) -> None:
    written = content_disposition(ATTACKS[attack])
    assert written.isascii()
    assert written.isprintable()
    read = parse_content_type(f"a/b; {written.partition('; ')[2]}")
    assert set(read.parameters) <= {"filename", "filename*"}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_log_injection_by_an_attack_is_one_line(
    stream: io.StringIO, attack: str, log_format: LogFormat
) -> None:
    text = ATTACKS[attack]
    configure_logs(log_format, "info", stream=stream)
    get_logger("adapter").warning(f"refused {text}", action="message.refused", name=text, problems=[text])
    logging.getLogger("aiohttp.server").warning("from %s", text)
    written = stream.getvalue()
    first, second, *more = written.splitlines()
    assert more == []
    assert all(letter == "\n" or letter.isprintable() for letter in written)
    if log_format == "json":
        assert json.loads(first)["name"] == text
        assert json.loads(first)["action"] == "message.refused"
        assert json.loads(second)["action"] == "log.aiohttp.server"
    else:
        assert first.count(" action=message.refused ") == 1
        assert second.count(" action=log.aiohttp.server") == 1


@pytest.mark.parametrize("field", ["message_id", "conversation_id"])
@pytest.mark.parametrize("attack", ["CRLF", "CRLF and a body", "a line separator", "a quote", "a format"])
async def test_an_id_of_an_attack_is_answered_as_it_is(house: House, field: str, attack: str) -> None:
    """It goes into an element of the answer, into the store and into the log, and into no header."""
    made = house.draft(header={field: ATTACKS[attack]}).make()
    assert (await house.send(made)).status == 204
    answer = envelope_of((await house.answer(made)).envelope)
    assert answer.header.ref_to_message_id == made.id
    assert answer.header.conversation_id == made.header.conversation_id
    assert await house.deliveries() == 1
