# SPDX-License-Identifier: EUPL-1.2

"""`connect` walks through the steps: what holds is not done again, what fails is said with the fix."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapter.simulator import SimulatedDso
from adapter.store import (
    DeliveryState,
    Direction,
    FileKind,
    JobKind,
    MessageState,
    NewFile,
    Origin,
    insert_message,
    record_references,
    set_delivery_state,
)
from tests.cli.conftest import NUMBER
from tests.messages import new_message

NAME = "voorbeeldstad"
STEPS = ["cpa", "publish", "ping", "notification", "verzoek"]


def connect(shop: Any, *more: object) -> Any:
    return shop.run("connect", "-a", NAME, "--wait", "50ms", *more)


def states(shop: Any, *more: object) -> dict[str, str]:
    shown = json.loads(connect(shop, "--json", *more).stdout)
    return {one["step"]: one["progress"] for one in shown["steps"]}


def page(shop: Any, step: str) -> str:
    (found,) = (shop.state / "evidence").glob(f"{NAME}-test-*-{step}.html")
    return found.read_text()


def use_cpa(shop: Any) -> None:
    assert shop.run("cpa", "add", shop.world.authorities[0].cpa_path, "-a", NAME).exit_code == 0


def arrive(shop: Any, *, state: MessageState | None = None) -> int:
    """A verzoeknotificatie arrived just now."""
    now = datetime.now(UTC)
    new = new_message(
        now,
        cpa_id=shop.cpa_id,
        message_id="m1@dso",
        conversation_id=NUMBER,
        direction=Direction.IN,
        authority=NAME,
    )
    return shop.use(lambda db: db.write(insert_message, new, None, now, state=state))


def announced(shop: Any) -> int:
    """A verzoek that a message announced, to be collected."""
    return shop.delivery(message=arrive(shop), origin=Origin.NOTIFICATION)


def test_without_a_daemon_the_walk_stops_at_the_ping_and_says_so(shop: Any, dso: SimulatedDso) -> None:
    use_cpa(shop)
    result = connect(shop, "--json")
    assert result.exit_code == 1
    shown = json.loads(result.stdout)
    assert not shown["complete"]
    progress = [one["progress"] for one in shown["steps"]]
    assert progress == ["done", "done", "failed", "not yet", "not yet"]
    assert shown["steps"][2]["trouble"] == "no_daemon"
    assert "Start the adapter" in result.stderr
    assert "Start de adapter" in page(shop, "ping")


def test_what_was_done_stays_done(shop: Any, dso: SimulatedDso) -> None:
    use_cpa(shop)
    connect(shop)
    before = page(shop, "publish")
    assert states(shop)["publish"] == "done before"
    assert page(shop, "publish") == before
    assert len(dso.api.requests) == 1


def test_without_its_page_a_publication_is_known_from_the_store(shop: Any, dso: SimulatedDso) -> None:
    use_cpa(shop)
    connect(shop)
    before = page(shop, "publish")
    for path in (shop.state / "evidence").iterdir():
        path.unlink()
    assert states(shop)["publish"] == "done"
    assert len(dso.api.requests) == 1
    assert page(shop, "publish") != before
    assert "HTTP-status" in page(shop, "publish")


def test_with_again_a_step_is_done_again(shop: Any, dso: SimulatedDso) -> None:
    use_cpa(shop)
    connect(shop)
    assert states(shop, "--again", "--step", "publish") == {"publish": "done"}
    assert len(dso.api.requests) == 2


def test_another_document_under_the_same_id_is_published_anew(shop: Any, dso: SimulatedDso) -> None:
    use_cpa(shop)
    connect(shop)
    path = shop.world.authorities[0].cpa_path
    path.write_text(path.read_text() + "\n<!-- a newer one -->\n")
    use_cpa(shop)
    assert states(shop)["publish"] == "done"
    assert len(dso.api.requests) == 2


def test_a_cpa_that_is_only_in_a_file_yet_is_checked_and_published(shop: Any, dso: SimulatedDso) -> None:
    result = connect(shop)
    assert result.exit_code == 1
    assert "is not in use in the store yet" in result.stderr
    assert shop.cpa_id in dso.api.cpas.cpas


def test_one_step_alone_succeeds_alone(shop: Any) -> None:
    result = connect(shop, "--step", "cpa")
    assert result.exit_code == 0, result.stderr
    assert "every step holds" in result.stderr
    index = (shop.state / "evidence" / "index.html").read_text()
    assert re.findall(r'href="([^"]+)"', index) == [f"{NAME}-test-1-cpa.html"]


def test_without_the_table_publish_the_walk_says_how_to_go_on(shop: Any) -> None:
    text = shop.world.config.read_text()
    shop.world.config.write_text(re.sub(r"\[authorities\.voorbeeldstad\.publish\]\nurl = .*\n", "", text))
    result = connect(shop, "--step", "publish")
    assert result.exit_code == 1
    assert "--skip publish" in result.stderr
    assert states(shop, "--skip", "publish")["publish"] == "skipped"
    assert states(shop, "--skip", "publish")["ping"] == "failed"


def test_a_cpa_with_errors_fails_the_first_step_and_its_page_says_why(shop: Any) -> None:
    path = shop.world.authorities[0].cpa_path
    path.write_text(
        path.read_text().replace("xmlenc#sha256", "xmldsig#sha1").replace("2001/04/xml", "2000/09/xml")
    )
    result = connect(shop, "--step", "cpa")
    assert result.exit_code == 1
    assert "SIG-04" in page(shop, "cpa")
    assert connect(shop, "--step", "cpa", "--force").exit_code == 0


def test_a_notification_in_the_store_is_found(shop: Any) -> None:
    use_cpa(shop)
    announced(shop)
    result = connect(shop, "--step", "notification")
    assert result.exit_code == 0, result.stderr
    text = page(shop, "notification")
    for wanted in (NUMBER, "m1@dso", shop.cpa_id, shop.world.authorities[0].oin):
        assert wanted in text


def test_a_notification_from_before_the_cpa_shows_nothing_of_it(shop: Any) -> None:
    announced(shop)
    use_cpa(shop)
    result = connect(shop, "--step", "notification")
    assert result.exit_code == 1
    assert "no message came under this CPA" in result.stderr


def test_with_again_only_a_new_notification_counts(shop: Any) -> None:
    use_cpa(shop)
    announced(shop)
    assert connect(shop, "--step", "notification").exit_code == 0
    result = connect(shop, "--step", "notification", "--again")
    assert result.exit_code == 1
    assert "no message came under this CPA" in result.stderr


def test_a_message_that_was_refused_is_said_to_be(shop: Any) -> None:
    use_cpa(shop)
    arrive(shop, state=MessageState.REFUSED)
    result = connect(shop, "--step", "notification")
    assert result.exit_code == 1
    assert "answered with an ebMS error" in result.stderr
    assert "m1@dso" in page(shop, "notification")


def test_a_parked_verzoek_fails_at_once_with_its_reason(shop: Any) -> None:
    use_cpa(shop)
    delivery = announced(shop)
    now = datetime.now(UTC)
    files = [NewFile(FileKind.DOCUMENT, "https://dso/1", bestandsnaam="Brief van J. Jansen.pdf")]
    shop.use(lambda db: db.write(record_references, delivery, files, now))
    shop.park(JobKind.COLLECT, "Brief van J. Jansen.pdf of jan@example.nl, 123456789: HTTP 410")
    result = connect(shop, "--step", "verzoek", "--wait", "10m")
    assert result.exit_code == 1
    assert "HTTP 410" in result.stderr
    assert "verzoek retry" in result.stderr
    text = page(shop, "verzoek")
    assert "HTTP 410" in text
    for personal in ("Jansen", "jan@example.nl", "123456789"):
        assert personal not in text


def test_a_delivered_verzoek_is_shown_without_the_names_of_its_files(shop: Any) -> None:
    use_cpa(shop)
    delivery = announced(shop)
    now = datetime.now(UTC)
    files = [NewFile(FileKind.DOCUMENT, "https://dso/1", bestandsnaam="Brief van J. Jansen.pdf")]
    shop.use(lambda db: db.write(record_references, delivery, files, now))
    shop.use(
        lambda db: db.write(
            set_delivery_state, delivery, DeliveryState.COLLECTING, DeliveryState.DELIVERED, None, now
        )
    )
    result = connect(shop, "--step", "verzoek")
    assert result.exit_code == 0, result.stderr
    assert NUMBER in page(shop, "verzoek")
    assert "Jansen" not in page(shop, "verzoek")


def test_the_evidence_is_in_the_language_that_is_asked_for_last(shop: Any) -> None:
    connect(shop, "--step", "cpa")
    assert "Bewijs van aansluiting" in page(shop, "cpa")
    assert states(shop, "--step", "cpa", "--language", "en") == {"cpa": "done before"}
    assert "Evidence of connecting" in page(shop, "cpa")
    assert not (shop.state / "evidence" / "earlier").exists()


def test_one_of_several_cpas_is_to_be_chosen(shop: Any) -> None:
    use_cpa(shop)
    path = shop.world.authorities[0].cpa_path
    path.write_text(path.read_text().replace(shop.cpa_id, "CPA-2"))
    result = connect(shop, "--step", "cpa")
    assert result.exit_code == 2
    assert f"choose one with --cpa-id: CPA-2, {shop.cpa_id}" in result.stderr
    assert connect(shop, "--step", "cpa", "--cpa", "CPA-2").exit_code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--wait", "soon"), "is not a duration"),
        (("--cpa", "CPA-9"), "has no CPA 'CPA-9'"),
        (("-a", "elders"), "the configuration has no authority 'elders'"),
    ],
)
def test_what_cannot_be_understood_is_refused(shop: Any, options: tuple[str, ...], said: str) -> None:
    result = connect(shop, *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_evidence_in_a_directory_that_cannot_be_written_is_refused(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = connect(shop, "--evidence", tmp_path / "file" / "below")
    assert result.exit_code == 1
    assert "choose another directory with --evidence" in result.stderr
