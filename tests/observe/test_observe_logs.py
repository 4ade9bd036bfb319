# SPDX-License-Identifier: EUPL-1.2

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import structlog

from adapter.observe import LogFormat, bind, bound, configure_logs, get_logger, unbind


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def records(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_time_in_utc_level_logger_and_action(lines: io.StringIO) -> None:
    configure_logs("json", "info", stream=lines)
    get_logger("adapter.msh").info("Message received", action="message.receive", size=3)
    (record,) = records(lines)
    assert record | {"timestamp": ""} == {
        "event": "Message received",
        "action": "message.receive",
        "size": 3,
        "level": "info",
        "logger": "adapter.msh",
        "timestamp": "",
    }
    assert datetime.fromisoformat(str(record["timestamp"])).utcoffset() == timedelta(0)


def test_lines_below_the_level_are_not_shown(lines: io.StringIO) -> None:
    configure_logs("json", "WARNING", stream=lines)
    get_logger("a").info("quiet", action="a.b")
    get_logger("a").warning("loud", action="a.b")
    assert [record["event"] for record in records(lines)] == ["loud"]


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="use debug, info"):
        configure_logs("json", "chatty")


def test_a_line_without_action_gets_the_name_of_its_logger(lines: io.StringIO) -> None:
    configure_logs("json", "info", stream=lines)
    get_logger("adapter.store").info("no action here")
    assert records(lines)[0]["action"] == "adapter.store"


def test_a_line_without_action_raises_where_tests_ask_for_it(lines: io.StringIO) -> None:
    configure_logs("json", "info", strict=True, stream=lines)
    with pytest.raises(ValueError, match="no action"):
        get_logger("adapter.store").info("no action here")


def test_bound_fields_are_on_every_line_of_the_block_only(lines: io.StringIO) -> None:
    configure_logs("json", "info", stream=lines)
    log = get_logger("a")
    with bound(message_id="m1", authority="stad"):
        log.info("inside", action="a.b")
        logging.getLogger("other").warning("also inside")
    log.info("outside", action="a.b")
    inside, foreign, outside = records(lines)
    assert inside["message_id"] == foreign["message_id"] == "m1"
    assert "message_id" not in outside
    assert "authority" not in outside


def test_bind_lasts_until_unbind(lines: io.StringIO) -> None:
    configure_logs("json", "info", stream=lines)
    bind(cpa_id="CPA-1")
    get_logger("a").info("one", action="a.b")
    unbind("cpa_id", "never_bound")
    get_logger("a").info("two", action="a.b")
    assert [record.get("cpa_id") for record in records(lines)] == ["CPA-1", None]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_third_party_lines_go_through_the_same_renderer(lines: io.StringIO, log_format: LogFormat) -> None:
    configure_logs(log_format, "info", stream=lines)
    logging.getLogger("aiohttp.server").warning("Unhandled %s", "thing")
    text = lines.getvalue()
    assert "log.aiohttp.server" in text
    assert "Unhandled thing" in text


@pytest.mark.parametrize("attack", ["a\r\nb", "a\nb", "a\x85b", "a\u2028b", "a\x0bb", "\x1b[2Jb"])
def test_a_forged_line_in_a_value_stays_one_line(lines: io.StringIO, attack: str) -> None:
    configure_logs("console", "info", stream=lines)
    get_logger("a").info(f"event {attack}", action="a.b", name=attack, nested={"k": [attack]}, **{attack: 1})
    text = lines.getvalue()
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


def test_a_forged_line_in_an_exception_is_marked_as_part_of_the_traceback(lines: io.StringIO) -> None:
    configure_logs("console", "info", stream=lines)
    forged = RuntimeError("x\n2026-01-01 info all is well")
    get_logger("a").error("It failed", action="a.fail", exc_info=forged)
    first, *rest = lines.getvalue().splitlines()
    assert "It failed" in first
    assert rest
    assert all(line.startswith("    | ") for line in rest)


def test_console_values_with_spaces_are_quoted(lines: io.StringIO) -> None:
    configure_logs("console", "info", stream=lines)
    get_logger("a").info("Hi", action="a.b", text='say "x y"', number=4)
    assert lines.getvalue().rstrip().endswith('action=a.b text="say \\"x y\\"" number=4')
