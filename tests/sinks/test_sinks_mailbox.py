# SPDX-License-Identifier: EUPL-1.2

from dataclasses import replace
from pathlib import Path

import pytest

from adapter.config import Config, ConfigProblem, load_config
from adapter.daemon import make_sinks
from adapter.delivery import Delivered, Handover, Permanent, SinkProblem, make_sink
from adapter.sinks import SINK_TYPES, MailboxOptions, MailboxSink, mailboxes, route_problems
from adapter.work import utc_now
from tests.sinks.handovers import MemoryCheckpoint, make_context

CONFIGURATION = """
environment = "test"

[authorities.stad]
party = "urn:osb:oin:00000001001100415000"
certificate = "stad.pem"
key = "stad.key"
dso.url = "https://dso.example/api"
routes = [
    { service = "berichten", flow = "message", sink = "post" },
    { flow = "FLOW", sink = "SINK" },
]
sinks.post = { type = "mailbox" }
sinks.archief = { type = "directory", path = "/srv/stad" }

[authorities.dorp]
party = "urn:osb:oin:00000001001100416000"
certificate = "dorp.pem"
key = "dorp.key"
routes = [{ flow = "message", sink = "in" }]
sinks.in = { type = "mailbox" }
sinks.archief = { type = "directory", path = "/srv/dorp" }
"""


def configured(tmp_path: Path, flow: str = "stam", sink: str = "archief") -> Config:
    path = tmp_path / "stam-adapter.toml"
    path.write_text(CONFIGURATION.replace("FLOW", flow).replace("SINK", sink))
    return load_config(path, {})


@pytest.fixture
def message(handover: Handover) -> Handover:
    return replace(handover, flow="message", key="m-1@dso", verzoeknummer=None, volgnummer=None)


async def test_a_message_is_delivered_at_once_and_is_to_be_kept(
    message: Handover, checkpoint: MemoryCheckpoint
) -> None:
    sink = make_sink(SINK_TYPES, "post", {"type": "mailbox"}, make_context(Path("/"))).sink
    await sink.probe()
    assert await sink.deliver(message, checkpoint) == Delivered(keep=True)
    assert checkpoint.steps == {}
    await sink.close()


async def test_a_verzoek_does_not_go_into_a_mailbox(handover: Handover, checkpoint: MemoryCheckpoint) -> None:
    outcome = await MailboxSink(MailboxOptions()).deliver(handover, checkpoint)
    assert isinstance(outcome, Permanent)
    assert "no verzoeken" in outcome.reason


def test_a_mailbox_has_no_options() -> None:
    with pytest.raises(SinkProblem, match="post: path: unknown key"):
        make_sink(SINK_TYPES, "post", {"type": "mailbox", "path": "/srv"}, make_context(Path("/")))


def test_the_mailboxes_of_a_configuration_are_known(tmp_path: Path) -> None:
    assert mailboxes(configured(tmp_path)) == {("stad", "post"), ("dorp", "in")}


def test_a_route_of_flow_stam_to_a_mailbox_is_a_problem_with_its_fix(tmp_path: Path) -> None:
    ((authority, found),) = route_problems(configured(tmp_path, "stam", "post"), SINK_TYPES)
    assert authority == "stad"
    assert found.endswith(
        'authorities.stad.routes[1].flow: "stam" cannot go to sink \'post\': a mailbox takes flow "message" only; '
        "change the flow, or name another sink"
    )


def test_the_daemon_does_not_start_with_a_verzoek_on_its_way_to_a_mailbox(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="a mailbox takes flow"):
        make_sinks(configured(tmp_path, "stam", "post"), SINK_TYPES, {}, utc_now)


@pytest.mark.parametrize(("flow", "sink"), [("stam", "archief"), ("message", "archief"), ("message", "post")])
def test_every_other_route_is_fine(tmp_path: Path, flow: str, sink: str) -> None:
    assert route_problems(configured(tmp_path, flow, sink), SINK_TYPES) == ()


def test_a_sink_of_an_unknown_type_is_no_problem_of_its_route(tmp_path: Path) -> None:
    assert route_problems(configured(tmp_path, "stam", "post"), ()) == ()
