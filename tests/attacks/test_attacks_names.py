# SPDX-License-Identifier: EUPL-1.2

"""Attacks by names that come from outside and become names of files, by name."""

import unicodedata
from pathlib import Path

import pytest

from adapter.delivery import delivery_name, message_name, safe_name, unique_names

NAMES = {
    "path traversal": "../../../etc/cron.d/x",
    "path traversal with backslashes": "..\\..\\windows\\system32\\x",
    "path traversal, percent-encoded": "..%2f..%2fetc%2fpasswd",
    "path traversal in full-width letters": "．．／．．／etc／passwd",
    "path traversal behind an extension": "a.pdf/../../x",
    "zip-slip": "a/../../../b.pdf",
    "an absolute path": "/etc/passwd",
    "an absolute path of Windows": "C:\\Windows\\x",
    "a share": "\\\\server\\share\\x",
    "a stream of NTFS": "a.pdf:evil.exe",
    "this directory": ".",
    "the directory above": "..",
    "dots and blanks": " . . ",
    "a hidden file": ".ssh",
    "a device of Windows": "CON",
    "a device of Windows with an extension": "nul.pdf",
    "a device of Windows with a superscript": "COM¹.txt",
    "a device of Windows with blanks": "aux .txt",
    "a blank at the end": "a.pdf ",
    "a dot at the end": "a.exe.",
    "right-to-left override": "verzoek\u202efdp.exe",
    "an invisible character": "a\u200b.pdf",
    "a NUL": "a.pdf\0.exe",
    "a line break": "a\r\nSet-Cookie: x.pdf",
    "an escape": "\x1b]0;x\x07a.pdf",
    "a line separator": "a\u2028b.pdf",
    "a lone surrogate": "a\ud800.pdf",
    "a very long name": "é" * 5000 + ".pdf",
    "nothing": "",
    "an option": "-rf",
    "a glob": "*?",
}

HARMLESS = {"path traversal, percent-encoded", "path traversal in full-width letters", "an option"}
"""Names that are safe as they stand: nobody decodes them, and nobody hands them to a shell."""


@pytest.mark.parametrize("attack", NAMES)
def test_a_name_of_an_attack_stays_in_its_directory(attack: str, tmp_path: Path) -> None:
    """As a file, as a directory of a delivery, and as one of a message."""
    text = NAMES[attack]
    inside = tmp_path / "inside"
    inside.mkdir()
    for name in (
        safe_name(text),
        *unique_names([text]),
        delivery_name(text, "000"),
        delivery_name("1", text),
        message_name(text),
    ):
        path = inside / name
        path.write_bytes(b"x")
        assert path.resolve().parent == inside.resolve()
        assert path.name == name
        assert not any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in name)
        path.unlink()
    assert list(tmp_path.iterdir()) == [inside]


@pytest.mark.parametrize("attack", sorted(NAMES.keys() - HARMLESS))
def test_a_name_of_an_attack_is_no_key_of_another(attack: str) -> None:
    """What had to be changed is marked, so that nobody else's delivery can be met by it."""
    assert safe_name(NAMES[attack]) != NAMES[attack]
    assert "~" in safe_name(NAMES[attack])


@pytest.mark.parametrize("attack", NAMES)
def test_two_files_of_one_name_of_an_attack_do_not_overwrite_each_other(attack: str) -> None:
    names = unique_names([NAMES[attack], NAMES[attack].upper(), NAMES[attack]])
    assert len({name.casefold() for name in names}) == 3
