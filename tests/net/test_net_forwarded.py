# SPDX-License-Identifier: EUPL-1.2

"""Where a request comes from, as a trusted proxy tells it."""

import pytest
from aiohttp.test_utils import make_mocked_request

from adapter.net import Networks, address_of

TEN = ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("forwarded", "trusted", "address"),
    [
        (None, (), "10.0.0.7"),
        ("192.0.2.1", (), "10.0.0.7"),
        ("192.0.2.1", TEN, "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", TEN, "192.0.2.1"),
        ("192.0.2.1, 10.0.0.8", TEN, "192.0.2.1"),
        ("10.0.0.9, 10.0.0.8", TEN, "10.0.0.9"),
        ("192.0.2.1:4711", TEN, "192.0.2.1"),
        ("[2001:db8::1]:4711", TEN, "2001:db8::1"),
        ("2001:db8::1", TEN, "2001:db8::1"),
        ("::ffff:192.0.2.1", TEN, "192.0.2.1"),
        ("192.0.2.1, ::ffff:10.0.0.8", TEN, "192.0.2.1"),
        ("192.0.2.1, unknown", TEN, "unknown"),
        ("192.0.2.1\tname", TEN, "unknown"),
    ],
)
def test_a_forwarded_address_counts_only_from_a_trusted_proxy(
    forwarded: str | None, trusted: tuple[str, ...], address: str
) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = make_mocked_request("GET", "/", headers=headers).clone(remote="10.0.0.7")
    assert address_of(request, Networks(trusted)) == address


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("10.1.2.3", TEN, True),
        ("11.1.2.3", TEN, False),
        ("::ffff:10.1.2.3", TEN, True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("10.1.2.3", ("::/0",), False),
        ("unknown", ("0.0.0.0/0", "::/0"), False),
        ("10.1.2.3", (), False),
    ],
)
def test_an_address_is_part_of_networks_of_its_own_kind(
    address: str, networks: tuple[str, ...], inside: bool
) -> None:
    assert (address in Networks(networks)) is inside
