# SPDX-License-Identifier: EUPL-1.2

"""The chain as a user has it: DSO-LV, the adapter in a process of its own, a directory; all over mutual TLS."""

import asyncio
import json

import pytest

from adapter.simulator import AgreementPlan, DocumentSpec
from cpa import Profile, SyncReplyMode
from tests.e2e.conftest import Chain, assert_delivered, until


async def test_a_signed_notification_becomes_a_delivered_directory(chain: Chain) -> None:
    await chain.adapter.start()
    verzoek = chain.verzoek()
    sent = await chain.dso.announce(chain.world.authorities[0], verzoek)
    assert sent.status == 204
    signal = await chain.dso.msh.wait_for(sent.message_id)
    assert (signal.action, signal.problems) == ("Acknowledgment", ())
    await until(chain.has_delivered)
    (directory,) = chain.delivered()
    assert directory.name == f"{verzoek.verzoeknummer}-000"
    assert_delivered(directory, verzoek)
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["origin"] == "notification"
    assert manifest["messageId"] == sent.message_id
    assert manifest["conversationId"] == sent.conversation_id
    assert manifest["cpaId"] == chain.world.authorities[0].cpa_id
    assert await chain.adapter.stop() == 0


async def test_many_verzoeken_at_once_are_each_delivered_once(chain: Chain) -> None:
    await chain.adapter.start()
    verzoeken = [chain.verzoek(number) for number in range(1, 21)]
    sent = await asyncio.gather(*(chain.dso.announce(chain.world.authorities[0], v) for v in verzoeken))
    for one in sent:
        assert not (await chain.dso.msh.wait_for(one.message_id)).problems

    async def all_delivered() -> bool:
        return len(chain.delivered()) == len(verzoeken)

    await until(all_delivered)
    for directory, verzoek in zip(chain.delivered(), verzoeken, strict=True):
        assert_delivered(directory, verzoek)


async def test_a_ping_is_answered_with_a_pong(chain: Chain) -> None:
    await chain.adapter.start()
    sent = await chain.dso.msh.ping(chain.world.authorities[0].cpa_id)
    signal = await chain.dso.msh.wait_for(sent.message_id)
    assert (signal.action, signal.problems) == ("Pong", ())


async def test_a_notification_sent_twice_is_delivered_once_and_acknowledged_twice(chain: Chain) -> None:
    await chain.adapter.start()
    sent = await chain.dso.announce(chain.world.authorities[0], chain.verzoek())
    await chain.dso.msh.wait_for(sent.message_id)
    assert (await chain.dso.msh.resend(sent)).status == 204
    await chain.dso.msh.wait_for_number(sent.message_id, 2)
    first, second = (s for s in chain.dso.msh.received if s.ref_to_message_id == sent.message_id)
    assert first.envelope == second.envelope
    await until(chain.has_delivered)
    assert len(chain.delivered()) == 1


async def test_a_message_that_is_cut_half_way_leaves_nothing_and_comes_again(chain: Chain) -> None:
    await chain.adapter.start()
    chain.dso.faults.cut_message = 1
    sent = await chain.dso.announce(chain.world.authorities[0], chain.verzoek())
    assert sent.status is None
    again = await chain.dso.msh.resend(sent)
    assert again.status == 204
    assert not (await chain.dso.msh.wait_for(sent.message_id)).problems
    await until(chain.has_delivered)


async def test_an_unavailable_verzoek_afhandelen_delays_and_loses_nothing(chain: Chain) -> None:
    await chain.adapter.start()
    chain.dso.faults.unavailable = 3
    verzoek = chain.verzoek()
    chain.dso.faults.cut = {verzoek.documents[0].document_id}
    await chain.dso.announce(chain.world.authorities[0], verzoek)
    await until(chain.has_delivered)
    assert_delivered(chain.delivered()[0], verzoek)


async def test_a_stop_in_the_middle_of_collecting_goes_on_where_it_stopped(chain: Chain) -> None:
    await chain.adapter.start()
    verzoek = chain.verzoek(
        documents=(DocumentSpec("klein.pdf", 1_000), DocumentSpec("groot.pdf", 30_000_000))
    )
    chain.dso.faults.cut = {verzoek.documents[1].document_id}
    await chain.dso.announce(chain.world.authorities[0], verzoek)

    async def first_document_fetched() -> bool:
        return any(verzoek.documents[1].document_id in request.path for request in chain.dso.api.requests)

    await until(first_document_fetched)
    assert await chain.adapter.stop() == 0
    await chain.adapter.start()
    await until(chain.has_delivered)
    assert_delivered(chain.delivered()[0], verzoek)
    xml = [request for request in chain.dso.api.requests if request.path.endswith("/xml")]
    assert len(xml) == 1


@pytest.mark.parametrize(
    "plan",
    [
        AgreementPlan(profile=Profile.OSB_RM),
        AgreementPlan(profile=Profile.OSB_RM, sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
        AgreementPlan(profile=Profile.OSB_RM_S, sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
        AgreementPlan(profile=Profile.OSB_RM_S, sign_acknowledgments=False),
    ],
    ids=lambda plan: (
        f"{plan.profile}-{plan.sync_reply}{'' if plan.sign_acknowledgments else '-unsigned-ack'}"
    ),
)
async def test_the_chain_holds_under_each_kind_of_agreement(chain: Chain, plan: AgreementPlan) -> None:
    await chain.adapter.start()
    verzoek = chain.verzoek()
    sent = await chain.dso.announce(chain.world.authorities[0], verzoek)
    synchronous = plan.sync_reply is SyncReplyMode.MSH_SIGNALS_ONLY
    assert sent.status == (200 if synchronous else 204)
    signal = await chain.dso.msh.wait_for(sent.message_id)
    assert (signal.action, signal.problems) == ("Acknowledgment", ())
    await until(chain.has_delivered)
    assert_delivered(chain.delivered()[0], verzoek)


async def test_sigterm_lets_running_work_end_and_exits_with_zero(chain: Chain) -> None:
    await chain.adapter.start()
    verzoek = chain.verzoek()
    sent = await chain.dso.announce(chain.world.authorities[0], verzoek)
    await chain.dso.msh.wait_for(sent.message_id)
    assert await chain.adapter.stop() == 0
    assert not any('"level": "error"' in line for line in chain.adapter.log.splitlines()), chain.adapter.log
