# SPDX-License-Identifier: EUPL-1.2

"""Who may send and sign, and what is refused from others."""

from pathlib import Path

from tests.msh.bad_input import HUB, with_agreement
from tests.msh.conftest import Open
from tests.msh.house import House, Part, errors_of, wrap
from tests.msh.receiving import accepted


async def test_who_acts_for_the_partner_may_send(open_house: Open):
    house = await open_house(**with_agreement(HUB))
    made = house.draft().make()
    assert (await house.send(made, keys="hub")).status == 204
    assert (await house.answer(made)).problems == ()


async def test_without_tls_a_test_set_up_takes_messages_of_anybody(open_house: Open):
    """The identity steps are skipped, with a warning at start; the signature still counts."""
    tls = '[ebms.tls]\ncertificate = "tls/rms.pem"\nkey = "tls/rms.key"\n'
    house = await open_house(replacing={tls: ""})
    assert len(house.lines("daemon.plain_http")) == 1
    made = house.draft().make()
    house.announce(made)
    assert (await house.post(wrap(made), scheme="http")).status == 204
    assert (await house.answer(made)).problems == ()
    unsigned = house.draft(sign=False).make()
    house.announce(unsigned)
    await house.post(wrap(unsigned), scheme="http")
    assert errors_of((await house.answer(unsigned)).envelope)[0][0] == "SecurityFailure"


async def test_who_does_not_act_for_the_partner_may_not_send(house: House):
    assert (await house.send(house.draft().make(), keys="hub")).status == 403


async def test_a_renewed_signing_certificate_of_the_same_oin_is_accepted(house: House):
    draft = house.draft()
    draft.keys = house.keys["renewed"]
    await accepted(house, draft.make())


async def test_a_renewed_signing_certificate_is_refused_where_only_the_agreed_one_counts(open_house: Open):
    house = await open_house(**with_agreement('certificate_renewal = "cpa"'))
    draft = house.draft()
    draft.keys = house.keys["renewed"]
    made = draft.make()
    await house.send(made)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"
    await house.assert_nothing_kept()


async def test_a_renewed_tls_certificate_of_the_same_oin_is_accepted(house: House):
    made = house.draft().make()
    assert (await house.send(made, keys="renewed")).status == 204


async def test_a_self_made_certificate_with_the_oin_of_the_partner_cannot_sign(house: House, tmp_path: Path):
    draft = house.draft()
    issued = house.world.pki.issue("vals", "00000099000000001000", self_signed=True)
    draft.keys = issued.key_pair(tmp_path, "vals")
    made = draft.make()
    await house.send(made)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"
    assert "self-signed" in house.lines("message.refused")[0]["problems"][0]


async def test_a_key_that_cannot_sign_accepts_nothing(open_house: Open):
    """The authority has another certificate than the agreement says, of another OIN."""
    house = await open_house(
        replacing={
            'cpas = ["cpa/rms.xml", "cpa/neighbour.xml"]\ncertificate = "tls/rms.pem"\nkey = "tls/rms.key"': (
                'cpas = ["cpa/rms.xml"]\ncertificate = "tls/stranger.pem"\nkey = "tls/stranger.key"'
            )
        }
    )
    made = house.draft(parts=[Part(bytes(300_000))]).make()
    response = await house.send(made)
    assert (response.status, response.headers["Retry-After"], response.body) == (503, "30", b"")
    assert house.refused("cannot_sign") == 1
    assert house.lines("request.postponed")[0]["reason"] == "cannot_sign"
    assert await house.count("message") == 0
    await house.assert_nothing_kept()
