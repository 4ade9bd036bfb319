# SPDX-License-Identifier: EUPL-1.2

"""The networks that connections may come from."""

import structlog

from adapter.daemon.guests import QUIET, GuestList
from adapter.net import Networks
from adapter.observe import Metrics


def test_without_networks_everybody_may_connect() -> None:
    guests = GuestList(Networks(), Metrics().refused_total.labels(reason="network"))
    assert guests.has("192.0.2.1")


def test_others_are_counted_each_time_and_logged_once_a_minute() -> None:
    metrics, now = Metrics(), [0.0]
    counter = metrics.refused_total.labels(reason="network")
    guests = GuestList(Networks(["192.0.2.0/24"]), counter, lambda: now[0])
    with structlog.testing.capture_logs() as lines:
        assert guests.has("192.0.2.1")
        for address in ("203.0.113.9", "203.0.113.9", "203.0.113.10"):
            assert not guests.has(address)
        now[0] += QUIET
        assert not guests.has("203.0.113.9")
    assert [line["address"] for line in lines] == ["203.0.113.9", "203.0.113.10", "203.0.113.9"]
    assert metrics.registry.get_sample_value("stam_adapter_refused_total", {"reason": "network"}) == 4
