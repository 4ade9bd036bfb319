# SPDX-License-Identifier: EUPL-1.2

"""Every row of docs/bad-input.md, played against a running daemon."""

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from adapter.ebms import DESCRIPTIONS, ErrorCode
from adapter.pki import client_context
from tests.msh.bad_input import CASES, SETTINGS, Tried
from tests.msh.conftest import Open
from tests.msh.house import House, Response, envelope_of, errors_of, wrap

TABLE = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"


@dataclass(frozen=True)
class Row:
    """One documented case; `error` is code and location of a MessageError."""

    name: str
    status: int
    fault: str | None
    error: tuple[str, str] | None
    action: str
    reason: str


def _rows() -> dict[str, Row]:
    found = {}
    for line in TABLE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        status = re.match(r"HTTP (\d+)", cells[2]) if len(cells) == 5 else None
        if status is None:
            continue
        fault = re.search(r"fault `(\w+)`", cells[2])
        error = re.search(r"MessageError `(\w+)` at `([^`]+)`", cells[2])
        name, action, reason = (cell.strip("`") for cell in (cells[0], cells[3], cells[4]))
        found[name] = Row(
            name,
            int(status[1]),
            fault[1] if fault else None,
            (error[1], error[2]) if error else None,
            action,
            reason,
        )
    return found


ROWS = _rows()


def test_every_documented_case_is_played():
    assert set(ROWS) == set(CASES)


@pytest.mark.parametrize("name", ROWS)
async def test_bad_input_is_answered_as_documented(name: str, open_house: Open):
    row = ROWS[name]
    house = await open_house(**SETTINGS[name])
    tried = await CASES[name](house)
    assert tried.response.status == row.status
    assert tried.response.fault == row.fault
    _assert_generic(tried.response)
    await _assert_error(house, tried, row)
    lines = [line for line in house.logs if line["action"] in {row.action, "request.failed"}]
    assert [(line["action"], line["reason"]) for line in lines] == [(row.action, row.reason)]
    assert house.refused(row.reason) == 1
    await house.assert_nothing_kept()


async def _assert_error(house: House, tried: Tried, row: Row) -> None:
    if row.error is None:
        assert tried.made is None
        assert house.dso.msh.received == []
        return
    assert tried.made is not None
    if row.status == 200:
        octets = tried.response.body
    else:
        assert tried.response.body == b""
        signal = await house.answer(tried.made)
        assert signal.problems == ()
        octets = signal.envelope
    (error,) = errors_of(octets)
    assert (error[0], re.sub(r"^cid:.*", "cid:*", error[1] or "")) == row.error
    assert envelope_of(octets).header.ref_to_message_id == tried.made.id
    await house.at_rest()


def _assert_generic(response: Response) -> None:
    """Nothing tells what the adapter is, or what exactly was wrong."""
    assert "aiohttp" not in response.headers.get("Server", "")
    assert b"Traceback" not in response.body


async def test_a_message_error_says_no_more_than_its_code(house: House):
    made = house.draft(header={"action": "other"}).make()
    await house.send(made)
    signal = await house.answer(made)
    listed = envelope_of(signal.envelope).error_list
    assert listed is not None
    assert listed.errors[0].description == DESCRIPTIONS[ErrorCode.VALUE_NOT_RECOGNIZED]


async def test_without_a_client_certificate_there_is_no_connection(house: House):
    with pytest.raises((aiohttp.ClientError, OSError, ssl.SSLError)):
        await house.post(wrap(house.draft().make()), keys=None)
    assert house.logs == [line for line in house.logs if line["action"] != "message.accepted"]
    await house.assert_nothing_kept()


async def test_a_self_signed_certificate_gets_no_connection(house: House, tmp_path: Path):
    issued = house.world.pki.issue("zelf", "00000099000000001000", self_signed=True)
    context = client_context(issued.key_pair(tmp_path, "zelf"), house.world.trust)
    url = f"https://localhost:{house.world.ports.adapter}/ebms"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        with pytest.raises((aiohttp.ClientError, OSError)):
            await session.post(url, data=b"x")
    await house.assert_nothing_kept()


async def test_several_errors_come_in_one_list(house: House):
    made = house.draft(ack=False, sync=True).make()
    await house.send(made)
    signal = await house.answer(made)
    assert [code for code, _ in errors_of(signal.envelope)] == ["Inconsistent", "Inconsistent"]
