# SPDX-License-Identifier: EUPL-1.2

"""docs/errors.md names every error, and each that can be raised is provoked here: from the wire, but for our own."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapter.ebms import DESCRIPTIONS, ErrorCode, Severity
from adapter.store import EventType, MessageState
from tests.msh.bad_input import CASES, SETTINGS, Tried, refused
from tests.msh.conftest import Open, Serve
from tests.msh.house import House, Made, envelope_of, errors_of, notification
from tests.msh.sending import with_cpa
from tests.msh.test_msh_bad_input import ROWS as BAD_INPUT

TABLE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


@dataclass(frozen=True)
class Entry:
    """One row of the second table."""

    code: str
    severity: str
    location: str
    case: str


def _cells(columns: int) -> list[list[str]]:
    """The rows of the table with so many columns, without its head."""
    lines = (line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("|"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if len(row) == columns][2:]


CODES = {row[0].strip("`"): row for row in _cells(6)}
ENTRIES = [Entry(*(row[at].strip("`") for at in (0, 1, 2, 4))) for row in _cells(5)]


def test_every_code_has_its_text_its_severity_and_what_to_do():
    assert list(CODES) == [code.value for code in ErrorCode]
    for code in ErrorCode:
        _, text, severities, raised_by, *to_do = CODES[code.value]
        assert text == DESCRIPTIONS[code]
        assert set(severities.split(", ")) == {e.severity for e in ENTRIES if e.code == code.value}
        assert raised_by == ("the sender" if code is ErrorCode.DELIVERY_FAILURE else "the receiver")
        assert all(to_do)
    assert {entry.code for entry in ENTRIES} == set(CODES)


def test_every_error_that_bad_input_gets_stands_in_the_table():
    listed = {(entry.code, entry.location) for entry in ENTRIES if entry.severity == "Error"}
    assert {row.error for row in BAD_INPUT.values() if row.error is not None} <= listed


# --- errors that are sent


async def reused_message_id(house: House) -> Tried:
    """The first is accepted; the second has its id, and is signed as well."""
    made = house.draft().make()
    await house.send(made)
    assert (await house.answer(made)).action == "Acknowledgment"
    again = house.draft(header={"message_id": made.id, "conversation_id": made.id}, parts=[notification("2")])
    return Tried(await house.send(again.make()), again.make())


async def wrong_role_of_ours(house: House) -> Tried:
    draft = house.draft()
    draft.header = {"receiver": replace(draft.make().header.receiver, role="Burger")}
    return await refused(house, draft.make())


MORE: dict[str, Callable[[House], Awaitable[Tried]]] = {
    "reused-message-id": reused_message_id,
    "wrong-role-of-ours": wrong_role_of_ours,
}
SENT = [entry for entry in ENTRIES if entry.severity == "Error" and entry.location != "none"]


@pytest.mark.parametrize("entry", SENT, ids=lambda entry: entry.case)
async def test_an_error_is_raised_as_the_table_says(entry: Entry, open_house: Open):
    house = await open_house(**SETTINGS.get(entry.case, {}))
    tried = await (MORE.get(entry.case) or CASES[entry.case])(house)
    assert tried.made is not None
    octets = await message_error(house, tried.made)
    (error,) = errors_of(octets)
    assert (error[0], re.sub(r"^cid:.*", "cid:*", error[1] or "")) == (entry.code, entry.location)
    listed = envelope_of(octets).error_list
    assert listed is not None
    assert listed.highest_severity is Severity.ERROR
    assert [(e.severity, e.description) for e in listed.errors] == [
        (Severity.ERROR, DESCRIPTIONS[ErrorCode(entry.code)])
    ]
    await house.at_rest()


async def message_error(house: House, made: Made) -> bytes:
    """The MessageError about a message, which may not be the first signal about its MessageId."""
    for number in (1, 2):
        signal = await house.answer(made, number)
        if signal.action == "MessageError":
            return signal.envelope
    raise AssertionError("no MessageError came")


# --- warnings of ours


async def future_timestamp(house: House) -> Made:
    made = house.draft(header={"timestamp": house.clock() + timedelta(hours=1)}).make()
    await house.send(made)
    return made


async def unsignable_acknowledgment(house: House) -> Made:
    made = house.draft().make()
    await house.send(made)
    return made


WARNED = {"future-timestamp": future_timestamp, "unsignable-acknowledgment": unsignable_acknowledgment}
WARNINGS = [entry for entry in ENTRIES if entry.severity == "Warning" and entry.location != "none"]
SIGNS = re.compile(
    r'(?<=docExchangeId="B_DX_MSH">)(.*?)<cpa:SenderNonRepudiation>.*?</cpa:SenderNonRepudiation>', re.DOTALL
)


@pytest.mark.parametrize("entry", WARNINGS, ids=lambda entry: entry.case)
async def test_a_warning_is_logged_and_the_message_accepted(
    entry: Entry, open_house: Open, world: Any, tmp_path: Path
):
    settings = {}
    if entry.case == "unsignable-acknowledgment":
        settings = with_cpa(world, tmp_path, "rms", (SIGNS, r"\1"))
    house = await open_house(**settings)
    made = await WARNED[entry.case](house)
    assert (await house.answer(made)).action == "Acknowledgment"
    (line,) = house.lines("message.warned")
    assert line["problem"].startswith(f"{entry.code} at {entry.location}: ")
    assert await house.received() == 1


# --- the sending side


@pytest.mark.parametrize("name", ["never-transmitted", "never-acknowledged"])
async def test_a_delivery_failure_is_raised_as_the_table_says(name: str, open_house: Open, serve: Serve):
    (entry,) = [entry for entry in ENTRIES if entry.case == name]
    house = await open_house(dso=False)
    if name == "never-acknowledged":
        await serve(house)
    message = await house.submit("rms", b"<a/>")

    async def attempted() -> bool:
        return [job.state for job in await house.jobs()] == ["ready"] and (
            await house.reload(message)
        ).attempts == 1

    await house.until(attempted)
    house.pass_time(timedelta(hours=28))
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason is not None
    assert message.reason.startswith(f"{entry.code}: ")
    assert f"({entry.severity}: " in message.reason
    assert await house.told(message) == [EventType.EXPIRED]


def test_every_entry_is_provoked_by_a_case():
    played = {*CASES, *MORE, *WARNED, "never-transmitted", "never-acknowledged"}
    assert {entry.case for entry in ENTRIES} <= played
