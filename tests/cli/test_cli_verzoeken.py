# SPDX-License-Identifier: EUPL-1.2

import hashlib
import json
from datetime import UTC, datetime, timedelta
from zipfile import ZipFile

import pytest
from sqlalchemy import Connection

from adapter.store import (
    Content,
    DeliveryState,
    FileKind,
    JobKind,
    NewFile,
    NewJob,
    Origin,
    VerzoekFacts,
    add_job,
    claim_jobs,
    complete_collection,
    delivery_files,
    find_deliveries,
    open_database,
    position_of,
    record_file,
    record_references,
)

NUMBER = "2023073100048"


def states(shop) -> list[str]:
    return [one.state.value for one in shop.use(lambda db: db.read(find_deliveries))]


def test_verzoeken_are_listed_and_found(shop) -> None:
    shop.delivery()
    shop.delivery(verzoeknummer="2023073100049")
    shop.park(JobKind.COLLECT)
    listed = shop.json("verzoek", "list")
    assert [one["verzoeknummer"] for one in listed] == ["2023073100049", NUMBER]
    (parked,) = shop.json("verzoek", "list", "--state", "parked")
    assert (parked["verzoeknummer"], parked["reason"]) == (NUMBER, "the disk is full")
    assert len(shop.json("verzoek", "list", "--verzoeknummer", NUMBER)) == 1
    assert shop.json("verzoek", "list", "--authority", "elders") == []
    assert NUMBER in shop.run("verzoek", "list").stdout


def test_an_empty_list_is_said_to_be_empty(shop) -> None:
    result = shop.run("verzoek", "list")
    assert result.exit_code == 0
    assert "no verzoeken found" in result.stderr


def test_a_verzoek_is_shown_with_files_jobs_and_timeline(shop) -> None:
    now = datetime.now(UTC)
    delivery = shop.delivery(message=shop.message())
    references = (NewFile(FileKind.VERZOEK, href="/v"), NewFile(FileKind.PDF, href="/p"))
    shop.use(lambda db: db.write(record_references, delivery, references, now))
    file = shop.use(lambda db: db.read(delivery_files, delivery))[0]
    content = Content(2, "cd" * 32, b"hi")
    shop.use(lambda db: db.write(record_file, file.id, content, "application/xml", now))
    shop.park(JobKind.COLLECT, "HTTP 404")
    shown = shop.json("verzoek", "show", NUMBER)
    (one,) = shown["deliveries"]
    assert [(f["kind"], f["fetched"], f["sha256"]) for f in one["files"]] == [
        ("verzoek", True, "cd" * 32),
        ("pdf", False, None),
    ]
    assert [(job["kind"], job["state"], job["reason"]) for job in one["jobs"]] == [
        ("collect", "parked", "HTTP 404")
    ]
    actions = [event["action"] for event in shown["timeline"]]
    assert actions[0] == "message.received"
    assert actions[-1] == "verzoek.parked"
    text = shop.run("verzoek", "show", NUMBER).stdout
    for part in ("HTTP 404", "cd" * 32, "message.received", "parked"):
        assert part in text


@pytest.mark.parametrize("command", [("show",), ("retry",), ("skip", "--reason", "no")])
def test_a_verzoek_that_is_not_there_says_what_to_try(shop, command: tuple[str, ...]) -> None:
    result = shop.run("verzoek", command[0], "2023", *command[1:])
    assert result.exit_code == 1
    assert "stam-adapter verzoek fetch 2023" in result.stderr
    assert not result.stdout


def test_a_parked_verzoek_is_tried_again(shop) -> None:
    delivery = shop.delivery()
    shop.park(JobKind.COLLECT)
    assert states(shop) == ["parked"]
    result = shop.run("verzoek", "retry", NUMBER)
    assert result.exit_code == 0
    assert "as soon as the daemon runs" in result.stdout
    assert states(shop) == ["collecting"]
    assert shop.jobs() == [("collect", "ready", delivery)]


def test_beside_a_daemon_it_is_tried_at_once(shop) -> None:
    shop.delivery()
    shop.park(JobKind.COLLECT)
    daemon = open_database("sqlite", shop.state, exclusive=True)
    try:
        assert shop.run("verzoek", "retry", NUMBER).stdout == f"{NUMBER}: 1 delivery is tried again\n"
    finally:
        shop.use(lambda _: daemon.close())


def test_only_the_chosen_authority_is_tried_again(shop) -> None:
    shop.delivery()
    shop.delivery("elders")
    for _ in range(2):
        shop.park(JobKind.COLLECT)
    assert shop.run("verzoek", "retry", NUMBER, "--authority", "elders").exit_code == 0
    assert states(shop) == ["collecting", "parked"]


def test_nothing_parked_is_nothing_to_try_again(shop) -> None:
    shop.delivery()
    result = shop.run("verzoek", "retry", NUMBER)
    assert result.exit_code == 1
    assert "is collecting" in result.stderr


def test_a_notification_that_was_not_routed_is_named(shop) -> None:
    shop.message(job=NewJob(JobKind.ROUTE, "route"))
    shop.park(JobKind.ROUTE)
    result = shop.run("verzoek", "retry", NUMBER)
    assert result.exit_code == 1
    assert "stam-adapter message retry m1@dso" in result.stderr


def test_a_verzoek_is_skipped_with_its_reason_on_the_timeline(shop) -> None:
    shop.delivery()
    assert shop.run("verzoek", "skip", NUMBER, "--reason", "by hand").exit_code == 0
    assert states(shop) == ["skipped"]
    assert shop.jobs() == []
    last = shop.json("verzoek", "show", NUMBER)["timeline"][-1]
    assert (last["action"], last["detail"]) == ("verzoek.skipped", {"reason": "by hand"})
    again = shop.run("verzoek", "skip", NUMBER, "--reason", "by hand")
    assert again.exit_code == 1
    assert "is skipped; there is nothing to skip" in again.stderr


@pytest.mark.parametrize("reason", [(), ("--reason", "  ")])
def test_skipping_needs_a_reason(shop, reason: tuple[str, ...]) -> None:
    shop.delivery()
    assert shop.run("verzoek", "skip", NUMBER, *reason).exit_code == 2
    assert states(shop) == ["collecting"]


def test_of_two_authorities_one_is_chosen_to_skip(shop) -> None:
    shop.delivery()
    shop.delivery("elders")
    result = shop.run("verzoek", "skip", NUMBER, "--reason", "by hand")
    assert result.exit_code == 2
    assert "elders and voorbeeldstad" in result.stderr
    assert states(shop) == ["collecting", "collecting"]
    assert shop.run("verzoek", "skip", NUMBER, "--reason", "x", "-a", "elders").exit_code == 0
    assert states(shop) == ["skipped", "collecting"]


def test_a_verzoek_is_fetched_for_an_authority(shop) -> None:
    result = shop.run("verzoek", "fetch", NUMBER, "--authority", "voorbeeldstad")
    assert result.exit_code == 0
    (made,) = shop.use(lambda db: db.read(find_deliveries))
    assert (made.origin, made.sink, made.verzoeknummer) == (Origin.OPERATOR, "archief", NUMBER)
    assert made.state is DeliveryState.COLLECTING
    assert shop.jobs() == [("collect", "ready", made.id)]


def test_what_is_on_its_way_is_not_fetched_twice(shop) -> None:
    shop.delivery()
    result = shop.run("verzoek", "fetch", NUMBER, "-a", "voorbeeldstad")
    assert result.exit_code == 1
    assert "wait for it" in result.stderr
    shop.park(JobKind.COLLECT)
    result = shop.run("verzoek", "fetch", NUMBER, "-a", "voorbeeldstad")
    assert f"stam-adapter verzoek retry {NUMBER}" in result.stderr
    assert len(states(shop)) == 1


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        (("-a", "elders"), "known: voorbeeldstad"),
        (("-a", "voorbeeldstad", "--sink", "kluis"), "known: archief"),
    ],
)
def test_a_place_that_is_not_configured_is_wrong_use(shop, options: tuple[str, ...], fix: str) -> None:
    result = shop.run("verzoek", "fetch", NUMBER, *options)
    assert result.exit_code == 2
    assert fix in result.stderr
    assert states(shop) == []


@pytest.mark.parametrize("number", [" ", "1\n2", "1" * 101])
def test_what_is_no_verzoeknummer_is_wrong_use(shop, number: str) -> None:
    assert shop.run("verzoek", "fetch", number, "-a", "voorbeeldstad").exit_code == 2


def test_without_a_place_to_collect_from_the_configuration_is_wrong(shop) -> None:
    text = shop.world.config.read_text()
    start, end = (
        text.index("[authorities.voorbeeldstad.dso]"),
        text.index("[[authorities.voorbeeldstad.routes]]"),
    )
    text = (text[:start] + text[end:]).replace('flow = "stam"', 'flow = "message"')
    shop.world.config.write_text(text)
    result = shop.run("verzoek", "fetch", NUMBER, "-a", "voorbeeldstad")
    assert result.exit_code == 78
    assert "add [authorities.voorbeeldstad.dso]" in result.stderr


def test_what_a_message_waits_for_is_shown(shop) -> None:
    now = datetime.now(UTC)
    shop.delivery(announced="000")
    key = f"voorbeeldstad/archief/{NUMBER}"
    later = shop.delivery(announced="001")
    first = NewJob("earlier", "x", holds_key=key, position=position_of("000"))
    waiting = NewJob(JobKind.DELIVER, "x", key, holds_key=key, position=position_of("001"))
    shop.use(lambda db: db.write(add_job, first, "voorbeeldstad", 1, now))
    shop.use(lambda db: db.write(add_job, waiting, "voorbeeldstad", later, now))
    newest = shop.json("verzoek", "show", NUMBER)["deliveries"][0]
    (job,) = [job for job in newest["jobs"] if job["kind"] == JobKind.DELIVER]
    assert job["waitsFor"] == "volgnummer 000, which is collecting"


def test_verzoeken_of_one_project_are_found_together(shop) -> None:
    now = datetime.now(UTC) + timedelta(seconds=1)
    for number in (NUMBER, "2023073100049"):
        delivery = shop.delivery(verzoeknummer=number)
        shop.use(lambda db, row=delivery: db.write(_collected, row, now))
    listed = shop.json("verzoek", "list", "--project", "p-1")
    assert [one["verzoeknummer"] for one in listed] == ["2023073100049", NUMBER]
    assert shop.json("verzoek", "list", "--project", "p-2") == []
    assert shop.json("verzoek", "show", NUMBER)["sameProject"] == ["2023073100049"]


def _collected(conn: Connection, row_id: int, now: datetime) -> None:
    record_references(conn, row_id, (NewFile(FileKind.VERZOEK, href="/v"),), now)
    (file,) = delivery_files(conn, row_id)
    record_file(conn, file.id, Content(2, "cd" * 32, b"hi"), "application/xml", now)
    (job,) = claim_jobs(conn, "w", now, timedelta(minutes=1), 1, (), (JobKind.COLLECT,))
    facts = VerzoekFacts("000", project_id="p-1")
    complete_collection(conn, row_id, facts, (), NewJob(JobKind.DELIVER, "x"), job, now, str(row_id))


def test_skipping_a_parked_message_leaves_the_later_ones_on_their_way(shop) -> None:
    shop.delivery(announced="000")
    shop.park(JobKind.COLLECT)
    shop.delivery(announced="001")
    assert shop.run("verzoek", "skip", NUMBER, "--reason", "by hand").exit_code == 0
    assert states(shop) == ["collecting", "skipped"]


def test_one_message_of_a_verzoek_is_chosen_by_its_volgnummer(shop) -> None:
    for volgnummer in ("000", "001"):
        shop.delivery(announced=volgnummer)
    told = shop.json("verzoek", "skip", NUMBER, "--volgnummer", "000", "--reason", "by hand")
    assert told == {"verzoeknummer": NUMBER, "changed": 1, "done": "skipped"}
    assert states(shop) == ["collecting", "skipped"]


def test_a_volgnummer_without_its_verzoek_is_wrong_use(shop) -> None:
    result = shop.run("verzoek", "retry", "--state", "parked", "--volgnummer", "000", "--yes")
    assert result.exit_code == 2
    assert "give its verzoeknummer" in result.stderr


def test_evidence_of_a_verzoek_has_its_messages_and_its_files(shop) -> None:
    delivery = shop.delivery(message=shop.message())
    shop.message("other@dso", conversation_id="another")
    shop.use(
        lambda db: db.write(
            record_references, delivery, (NewFile(FileKind.PDF, href="/p"),), datetime.now(UTC)
        )
    )
    (file,) = shop.use(lambda db: db.read(delivery_files, delivery))
    content = Content(2, hashlib.sha256(b"hi").hexdigest(), b"hi")
    shop.use(lambda db: db.write(record_file, file.id, content, "application/pdf", datetime.now(UTC)))
    path = shop.world.directory / "verzoek.zip"
    result = shop.run("verzoek", "show", NUMBER, "--evidence", path)
    assert result.exit_code == 0, result.stderr
    with ZipFile(path) as made:
        shown = json.loads(made.read("deliveries/001-collecting/delivery.json"))
        assert [made.read(one["archived"]) for one in shown["files"]] == [b"hi"]
        assert shown["verzoeknummer"] == NUMBER
        messages = [json.loads(made.read(name)) for name in made.namelist() if name.endswith("message.json")]
        assert [one["messageId"] for one in messages] == ["m1@dso"]
        assert json.loads(made.read("manifest.json"))["verzoek"] == NUMBER
        assert "message.received" in made.read("timeline.txt").decode()
    (entry,) = shop.json("audit", "list", "--action", "verzoek.evidence")
    assert (entry["subject"], entry["authority"]) == (NUMBER, "voorbeeldstad")


def test_evidence_of_a_verzoek_is_of_the_authority_that_is_asked_for(shop) -> None:
    shop.delivery()
    shop.delivery("elders")
    path = shop.world.directory / "verzoek.zip"
    assert shop.run("verzoek", "show", NUMBER, "-a", "elders", "--evidence", path).exit_code == 0
    with ZipFile(path) as made:
        assert json.loads(made.read("manifest.json"))["authorities"] == ["elders"]
        assert len([name for name in made.namelist() if name.endswith("delivery.json")]) == 1


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--since", "1h"), 1),
        (("--until", "2020-01-01"), 0),
        (("--since", "2020-01-01", "--until", "1h"), 0),
        (("--since", "2020-01-01", "--until", "2999-01-01T12:00+01:00"), 1),
    ],
)
def test_a_list_can_be_of_a_period(shop, options: tuple[str, ...], count: int) -> None:
    shop.delivery()
    shop.message()
    assert len(shop.json("verzoek", "list", *options)) == count
    assert len(shop.json("message", "list", *options)) == count
