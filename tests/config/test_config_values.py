# SPDX-License-Identifier: EUPL-1.2

from datetime import timedelta

import pytest

from adapter.config import Listen, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [(7, 7), ("7", 7), ("64 kB", 64_000), ("1KiB", 1024), ("100 MiB", 104_857_600), ("2 GiB", 2 * 1024**3)],
)
def test_a_size_is_a_number_with_or_without_unit(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1", "0", 0, -5, 1.5, True, None, "1 mib", "1  MiB", "1e3", "1 TB"]
)
def test_anything_else_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("10s", timedelta(seconds=10)),
        ("5 m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("5d", timedelta(days=5)),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize(
    "text", ["", "10", 10, "0s", "-1s", "1.5h", "1w", "1h30m", "9" * 5000 + "d", "4000d", None]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["127.0.0.1:8080", "[::1]:8080", "localhost:0", "0.0.0.0:65535"])
def test_an_address_is_host_and_port_and_written_as_read(text: str) -> None:
    assert str(Listen.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "host", "host:", "host:x", "::1:8080", "[h]:1", "h:²", "h:70000", 1]
)
def test_anything_else_is_no_address(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not an address|port above"):
        Listen.parse(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example", False)],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert Listen(host, 1).is_loopback is loopback
