# SPDX-License-Identifier: EUPL-1.2

"""What people are told, when, and how often: on a clock that stands still, through the store."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select
from structlog.testing import capture_logs

from adapter.notify import GATHER
from adapter.store import channel_state, open_alerts, retry_job
from adapter.store.schema import alert
from tests.notify.conftest import SECRETS_OF_A_VERZOEK, Desk, Ends, both

NUMBERS = ("2026030200001", "2026030200002", "2026030200003")


async def test_what_is_parked_is_told_once_after_a_short_while_of_gathering(desk: Desk) -> None:
    beheer = desk.add()
    await desk.park(NUMBERS[0])
    await desk.run()
    assert not beheer.sent, "what comes within moments goes together"
    desk.clock.advance(seconds=10)
    await desk.park(NUMBERS[1])
    await desk.pass_time(minutes=1)
    assert beheer.told == [("new", "parked", 2)]
    await desk.pass_time(minutes=30, step=1)
    assert len(beheer.sent) == 1


async def test_what_is_told_leads_to_the_verzoek(desk: Desk) -> None:
    beheer = desk.add()
    await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=1)
    ((item,),) = (group.items for group in beheer.sent[0].groups)
    assert item.link == f"https://stam.example.nl/verzoeken/voorbeeldstad/{NUMBERS[0]}"
    assert NUMBERS[0] in item.text
    assert "kon niet worden opgehaald" in item.text


async def test_nobody_gets_more_than_one_message_in_a_period(desk: Desk) -> None:
    beheer = desk.add(every="15m")
    await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=1)
    for number in NUMBERS[1:]:
        await desk.park(number)
        await desk.pass_time(minutes=2)
    assert len(beheer.sent) == 1
    await desk.pass_time(minutes=15)
    assert beheer.told == [("new", "parked", 1), ("new", "parked", 2)]


@both
async def test_what_is_over_is_told_once(desk: Desk) -> None:
    beheer = desk.add(every="1m")
    delivery = await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=2)
    await desk.settle(delivery)
    await desk.pass_time(minutes=10)
    assert beheer.told == [("new", "parked", 1), ("over", "parked", 1)]
    assert not await desk.db.read(open_alerts)


async def test_what_was_over_before_it_could_be_told_is_not_told(desk: Desk) -> None:
    beheer = desk.add()
    delivery = await desk.park(NUMBERS[0])
    await desk.run()
    await desk.settle(delivery)
    await desk.pass_time(minutes=20, step=1)
    assert not beheer.sent


async def test_what_comes_and_goes_within_a_period_is_told_as_it_is_at_its_end(desk: Desk) -> None:
    beheer = desk.add(every="1h")
    delivery = await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=1)
    await desk.unpark(delivery)
    await desk.pass_time(minutes=2)
    await desk.park_again()
    await desk.pass_time(minutes=90, step=1)
    assert beheer.told == [("new", "parked", 1)], "it still waits, as was told"


async def test_who_does_not_want_to_hear_that_it_is_over_does_not(desk: Desk) -> None:
    beheer = desk.add(events=["parked"], every="1m")
    delivery = await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=2)
    await desk.settle(delivery)
    await desk.pass_time(minutes=15)
    assert beheer.told == [("new", "parked", 1)]


async def test_what_lasts_is_told_again_all_at_once(desk: Desk) -> None:
    beheer = desk.add(again="24h", every="1m")
    for number in NUMBERS:
        await desk.park(number)
        await desk.pass_time(minutes=5, step=1)
    await desk.pass_time(minutes=24 * 60 + 30, step=10)
    assert beheer.told == [("new", "parked", 1)] * 3 + [("lasting", "parked", 3)]


async def test_each_channel_has_its_own_events_and_authorities(desk: Desk) -> None:
    mine, others, endings = (
        desk.add("mine", authorities=["voorbeeldstad"]),
        desk.add("others", authorities=["elders"]),
        desk.add("endings", events=["certificate", "cpa"]),
    )
    await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=1)
    assert mine.told == [("new", "parked", 1)]
    assert not others.sent
    assert not endings.sent


async def test_of_very_many_a_number_is_told(desk: Desk) -> None:
    beheer = desk.add()
    for index in range(25):
        await desk.park(f"20260302{index:05}")
    await desk.pass_time(minutes=1)
    (group,) = beheer.sent[0].groups
    assert (group.count, len(group.items)) == (25, 20)


async def test_nothing_personal_leaves(desk: Desk) -> None:
    beheer = desk.add()
    await desk.park(NUMBERS[0], reason=" ".join(SECRETS_OF_A_VERZOEK))
    await desk.pass_time(minutes=1)
    said = repr(beheer.sent)
    assert NUMBERS[0] in said
    assert not [secret for secret in SECRETS_OF_A_VERZOEK if secret in said]


async def test_what_ends_is_told_at_60_30_14_7_and_1_days_and_when_it_has(desk: Desk) -> None:
    beheer = desk.add(every="1m", again="365d")
    end = desk.clock() + timedelta(days=70)
    desk.ends = [
        Ends("own", "voorbeeldstad", "keys/stad.pem", end),
        Ends("agreement", "voorbeeldstad", "CPA-1", end),
    ]
    told_on: list[tuple[int, str]] = []
    for day in range(75):
        before = len(beheer.sent)
        await desk.pass_time(minutes=2, step=1)
        told_on += [(70 - day, event) for _, event, _ in beheer.told[before * 2 :]]
        desk.clock.advance(days=1, minutes=-2)
    days = sorted({day for day, _ in told_on}, reverse=True)
    assert days == [60, 30, 14, 7, 1, 0]
    assert [event for _, event in told_on] == ["certificate", "cpa"] * 6


async def test_a_certificate_that_was_replaced_is_told_and_no_more(desk: Desk) -> None:
    beheer = desk.add(every="1m")
    old = Ends("own", "voorbeeldstad", "keys/stad.pem", desk.clock() + timedelta(days=20))
    desk.ends = [old]
    await desk.pass_time(minutes=5)
    desk.ends = [replace(old, end=desk.clock() + timedelta(days=1000))]
    await desk.pass_time(minutes=30)
    assert beheer.told == [("new", "certificate", 1), ("over", "certificate", 1)]


async def test_a_daemon_that_did_not_look_yet_takes_nothing_back(desk: Desk) -> None:
    beheer = desk.add(every="1m")
    desk.ends = [Ends("own", "voorbeeldstad", "keys/stad.pem", desk.clock() + timedelta(days=20))]
    await desk.pass_time(minutes=5)
    known, desk.ends = desk.ends, None
    await desk.pass_time(minutes=30)
    desk.ends = known
    await desk.pass_time(minutes=5)
    assert beheer.told == [("new", "certificate", 1)]


async def test_a_channel_that_fails_is_tried_less_and_less_and_then_tells_everything_at_once(
    desk: Desk,
) -> None:
    beheer = desk.add(every="1m")
    beheer.down = "mail.example.nl:587: Connection refused"
    with capture_logs() as lines:
        for number in NUMBERS:
            await desk.park(number)
            await desk.pass_time(minutes=60, step=1)
    failures = [line for line in lines if line["action"] == "notification.failed"]
    assert [line["again_in"] for line in failures[:7]] == [60, 120, 240, 480, 960, 1920, 3600]
    watch = desk.watch()
    await watch.look()
    assert watch.warnings() == [
        "notifications by channel beheer fail since 2026-03-02 09:02 UTC: mail.example.nl:587: "
        "Connection refused; see `stam-adapter notify test`"
    ]
    beheer.down = ""
    await desk.pass_time(minutes=62, step=1)
    assert beheer.told == [("new", "parked", 3)]
    await watch.look()
    assert not watch.warnings()


async def test_a_channel_that_fails_keeps_no_other_from_telling(desk: Desk) -> None:
    broken, whole = desk.add("broken"), desk.add("whole")
    broken.down = "no"
    await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=1)
    assert whole.told == [("new", "parked", 1)]


@both
async def test_a_restart_neither_repeats_nor_forgets(desk: Desk) -> None:
    beheer = desk.add(every="1m")
    first = await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=2)
    await desk.park(NUMBERS[1])
    await desk.run()  # seen, and not told yet; every call makes its objects anew, as a restart does
    await desk.settle(first)
    desk.clock.advance(hours=1)
    await desk.pass_time(minutes=5)
    assert sorted(beheer.told) == [("new", "parked", 1), ("new", "parked", 1), ("over", "parked", 1)]


async def test_a_daemon_that_dies_after_sending_sends_the_same_again(desk: Desk) -> None:
    beheer = desk.add()
    await desk.park(NUMBERS[0])
    await desk.run()
    desk.clock.advance(seconds=GATHER.total_seconds())
    beheer.dies = True
    with pytest.raises(KeyboardInterrupt):
        await desk.run()
    beheer.dies = False
    desk.clock.advance(minutes=6)  # its lease ends
    await desk.run()
    first, second = beheer.sent
    assert first.id == second.id, "which is how a receiver knows that it has it"


async def test_who_lost_the_job_notes_nothing(desk: Desk) -> None:
    beheer = desk.add()
    await desk.park(NUMBERS[0])
    await desk.run()
    desk.clock.advance(minutes=1)
    (slow,) = await desk.claim("daemon-1")
    desk.clock.advance(minutes=6)
    (taken,) = await desk.claim("daemon-2")
    await desk.teller(taken)
    await desk.db.write(retry_job, taken, desk.clock(), "told", desk.clock())
    told_by = (await desk.db.read(channel_state, "beheer")).sent_at
    assert told_by == desk.clock()
    assert slow.id == taken.id
    assert beheer.told == [("new", "parked", 1)]


@both
async def test_channels_that_are_gone_leave_nothing(desk: Desk) -> None:
    desk.add("old")
    delivery = await desk.park(NUMBERS[0])
    await desk.pass_time(minutes=1)
    del desk.channels["old"]
    desk.add("new")
    await desk.pass_time(minutes=1)
    await desk.settle(delivery)
    await desk.pass_time(minutes=20)
    assert desk.channels["new"].told == [("new", "parked", 1), ("over", "parked", 1)]
    assert not await desk.db.read(_alerts)


async def test_a_store_that_is_away_for_long_is_told_and_that_it_is_back(desk: Desk) -> None:
    beheer, deaf = desk.add(), desk.add("deaf", events=["parked"])
    outage = desk.watch().outage
    await outage.note("StoreUnavailable")
    assert not beheer.sent, "a server that starts again is nobody's business"
    desk.clock.advance(minutes=3)
    await outage.note("StoreUnavailable")
    await outage.note("StoreUnavailable")
    await outage.over()
    assert beheer.told == [("new", "database", 1), ("over", "database", 1)]
    assert not deaf.sent


def _alerts(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(alert)).scalar_one()
