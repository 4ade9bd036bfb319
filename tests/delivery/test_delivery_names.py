# SPDX-License-Identifier: EUPL-1.2

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.delivery import delivery_name, message_name, safe_name, unique_names

NASTY = st.text(st.sampled_from('aA1éé.-_ ~/\\:*?"<>|\0\n\u202e\u200b\ud800CONcon²x\u0301字😀'), max_size=300)
TEXTS = st.one_of(
    st.text(), NASTY, st.from_regex(r"[a-z./]{0,4}~[0-9a-f]{10}(\.[a-z]{1,4})?", fullmatch=True)
)


def is_safe(name: str, max_bytes: int = 200) -> bool:
    return (
        0 < len(name.encode()) <= max_bytes
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and not set(name) & set('/\\:*?"<>|\0')
        and all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in name)
        and unicodedata.is_normalized("NFC", name)
        and name.partition(".")[0].rstrip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
    )


@given(TEXTS, st.integers(48, 255))
def test_a_safe_name_is_safe_whatever_the_text(text: str, max_bytes: int) -> None:
    name = safe_name(text, max_bytes=max_bytes)
    assert is_safe(name, max_bytes)
    assert name == safe_name(text, max_bytes=max_bytes)


@given(TEXTS, TEXTS)
def test_two_texts_never_share_a_key(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


@given(TEXTS)
def test_the_key_of_a_text_cannot_be_claimed_by_sending_that_key(text: str) -> None:
    key = safe_name(text)
    assert key == text or safe_name(key) != key


@given(st.lists(NASTY, max_size=12))
def test_file_names_are_safe_and_unique_without_regard_to_case(names: list[str]) -> None:
    result = unique_names(names)
    assert len(result) == len(names)
    assert all(is_safe(name) for name in result)
    assert len({unicodedata.normalize("NFC", name.casefold()) for name in result}) == len(names)


def test_a_name_that_is_safe_stays_as_it_is() -> None:
    assert safe_name("2023073100048-000") == "2023073100048-000"
    assert safe_name("1f2e@dso.example.nl") == "1f2e@dso.example.nl"
    assert safe_name("Situatietekening begane grond (v2).pdf") == "Situatietekening begane grond (v2).pdf"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("../../etc/passwd", "___.._etc_passwd~"),
        ("a/b", "a_b~"),
        (".hidden", "_hidden~"),
        ("CON", "_CON~"),
        ("nul.txt", "_nul~"),
        ("", "unnamed~"),
        ("...", "unnamed~"),
        ("rapport.pdf. ", "rapport~"),
        ("gnp.\u202eexe.pdf", "gnp._exe~"),
    ],
)
def test_what_is_unsafe_is_replaced_and_marked(text: str, start: str) -> None:
    assert safe_name(text).startswith(start)


def test_a_long_name_is_cut_in_bytes_and_keeps_its_extension() -> None:
    name = safe_name("é" * 300 + ".pdf", max_bytes=101)
    assert name.endswith(".pdf")
    assert len(name.encode()) <= 101


def test_a_bound_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 48"):
        safe_name("a", max_bytes=20)


def test_equal_file_names_are_numbered_before_the_extension() -> None:
    assert unique_names(["a.pdf", "A.pdf", "a-2.pdf", "a.pdf", "b/c.pdf"]) == (
        "a.pdf",
        "A-2.pdf",
        "a-2-2.pdf",
        "a-3.pdf",
        "b_c.pdf",
    )


def test_very_many_equal_names_take_no_quadratic_time() -> None:
    assert unique_names(["bijlage.pdf"] * 20_000)[-1] == "bijlage-20000.pdf"


def test_a_delivery_is_named_by_verzoeknummer_and_volgnummer() -> None:
    assert delivery_name("2023073100048", "000") == "2023073100048-000"
    assert delivery_name("2023073100048", 1) == "2023073100048-1"


def test_a_hyphen_in_the_volgnummer_cannot_make_two_deliveries_one() -> None:
    assert delivery_name("1-2", "3") == "1-2-3"
    assert delivery_name("1", "2-3") != "1-2-3"
    assert delivery_name("1", "2-3") != safe_name("1-2-3")


def test_a_later_reception_of_a_message_has_its_number_behind_the_name() -> None:
    assert message_name("id@host") == "id@host"
    assert message_name("id@host", 2) == "id@host-2"
    assert message_name("a/b", 3).endswith("-3")
