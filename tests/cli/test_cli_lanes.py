# SPDX-License-Identifier: EUPL-1.2

"""`stam-adapter lane`: what goes to one partner, one DSO connection or one sink."""

from tests.cli.conftest import Shop

LANE = "dso:voorbeeldstad"


def test_a_lane_is_listed_with_its_work(shop: Shop) -> None:
    shop.delivery()
    assert shop.json("lane", "list") == [
        {"lane": LANE, "state": "open", "waiting": 1, "running": 0, "parked": 0, "reason": None}
    ]


def test_a_paused_lane_says_why_until_it_is_resumed(shop: Shop) -> None:
    shop.delivery()
    assert shop.run("lane", "pause", LANE, "--reason", "maintenance of DSO-LV").exit_code == 0
    (paused,) = shop.json("lane", "list")
    assert (paused["state"], paused["reason"]) == ("paused", "maintenance of DSO-LV")
    assert shop.run("lane", "resume", LANE).exit_code == 0
    (resumed,) = shop.json("lane", "list")
    assert resumed["state"] == "open"


def test_what_is_no_lane_cannot_be_paused(shop: Shop) -> None:
    result = shop.run("lane", "pause", "archief", "--reason", "typing error")
    assert result.exit_code == 1
    assert "a lane begins with partner:, dso:, sink: or route:" in result.stderr


def test_a_lane_that_was_never_paused_cannot_be_resumed(shop: Shop) -> None:
    result = shop.run("lane", "resume", LANE)
    assert result.exit_code == 1
    assert "never paused" in result.stderr
