# SPDX-License-Identifier: EUPL-1.2

"""Revocation over real TLS, against a daemon: who is refused, who is not, and what the operator sees."""

from datetime import timedelta

import pytest

from adapter.pki import Layer
from tests.msh.house import errors_of
from tests.revocation.conftest import Open, Stage

SOFT = '[trust.revocation]\nmode = "soft"\n'


async def test_a_verzoek_comes_the_whole_way_under_two_roots_one_with_rsa_pss(stage: Stage) -> None:
    await stage.start()
    await stage.deliver()
    await stage.until_ready()


@pytest.mark.parametrize("layer", list(Layer))
async def test_a_revoked_certificate_of_any_layer_gets_no_connection(stage: Stage, layer: Layer) -> None:
    new = stage.pkis.new
    revoked = {
        Layer.TSP: stage.pkis.partner.certificate,
        Layer.DOMAIN: new.intermediate,
        Layer.ROOT: new.domain,
    }
    stage.revoke(new, layer, revoked[layer])
    await stage.start()
    assert (await stage.send()).status == 403
    assert stage.refused("certificate_revoked") == 1
    (line,) = stage.said("peer.refused")
    assert "revoked on" in line["detail"]


@pytest.mark.parametrize("layer", [Layer.TSP, Layer.DOMAIN])
async def test_what_a_revoked_certificate_signed_is_refused(stage: Stage, layer: Layer) -> None:
    old = stage.pkis.old
    stage.revoke(old, layer, stage.signer if layer is Layer.TSP else old.intermediate)
    await stage.start()
    sent = await stage.send()
    answer = await stage.dso.msh.wait_for(sent.message_id)
    assert errors_of(answer.envelope)[0][0] == "SecurityFailure"


async def test_a_certificate_that_is_revoked_while_the_daemon_runs_is_refused_once_the_list_is_fetched(
    stage: Stage,
) -> None:
    await stage.start()
    assert (await stage.send()).status == 204
    stage.revoke(stage.pkis.new, Layer.TSP, stage.pkis.partner.certificate)
    stage.clock.shift = timedelta(hours=4)
    assert stage.daemon is not None
    assert stage.daemon.fetcher is not None
    await stage.daemon.fetcher.tick()
    await stage.daemon.fetcher.finished()
    assert (await stage.send()).status == 403


async def test_who_is_first_is_let_in_once_its_lists_were_fetched(stage: Stage) -> None:
    await stage.start()
    assert (await stage.send()).status == 204


async def test_without_a_list_nobody_is_let_in_until_it_is_there(stage: Stage) -> None:
    missing = stage.lists.lists.pop("/new/tsp.crl")
    await stage.start()
    assert (await stage.send()).status == 403
    assert stage.refused("crl_missing") == 1
    status, text = await stage.readiness()
    assert status == 503
    assert "New TSP CA" in text
    stage.lists.lists["/new/tsp.crl"] = missing
    stage.clock.shift = timedelta(minutes=2)
    assert (await stage.send()).status == 204
    await stage.until_ready()


async def test_an_expired_list_lets_nobody_in_and_alarms(stage: Stage) -> None:
    end = stage.pkis.new.now - timedelta(seconds=1)
    stage.lists.serve(stage.pkis.new, [Layer.DOMAIN], below="/new", end=end)
    await stage.start()
    assert (await stage.send()).status == 403
    assert stage.refused("crl_expired") == 1
    assert stage.said("crl.stale")
    assert stage.said("crl.expired")


async def test_a_message_whose_signer_cannot_be_judged_is_not_taken_and_may_come_again(stage: Stage) -> None:
    missing = stage.lists.lists.pop("/old/tsp.crl")
    await stage.start()
    sent = await stage.send()
    assert sent.status == 503
    assert stage.refused("signer_crl_missing") == 1
    stage.lists.lists["/old/tsp.crl"] = missing
    stage.clock.shift = timedelta(minutes=2)
    assert (await stage.dso.msh.resend(sent)).status == 204
    assert (await stage.dso.msh.wait_for(sent.message_id)).problems == ()


async def test_soft_mode_lets_in_who_cannot_be_judged_and_refuses_who_was_revoked(open_stage: Open) -> None:
    stage = await open_stage(SOFT)
    stage.lists.lists.clear()
    stage.revoke(stage.pkis.old, Layer.TSP, stage.signer)
    await stage.start()
    sent = await stage.send()
    assert sent.status == 204
    answer = await stage.dso.msh.wait_for(sent.message_id)
    assert errors_of(answer.envelope)[0][0] == "SecurityFailure"
    assert stage.said("revocation.passed")


async def test_a_restart_without_network_goes_on_with_the_lists_on_disk(stage: Stage) -> None:
    await stage.start()
    assert (await stage.send()).status == 204
    await stage.until_ready()
    await stage.stop()
    stage.lists.lists.clear()
    await stage.start()
    assert (await stage.send()).status == 204
    stage.clock.shift = timedelta(days=2)
    assert (await stage.send()).status == 403
    assert stage.refused("crl_expired") == 1


async def test_off_asks_nobody_for_lists(open_stage: Open) -> None:
    stage = await open_stage("")
    stage.revoke(stage.pkis.new, Layer.TSP, stage.pkis.partner.certificate)
    await stage.start()
    assert (await stage.send()).status == 204
    assert not stage.lists.asked
