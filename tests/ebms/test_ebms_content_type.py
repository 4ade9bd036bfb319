# SPDX-License-Identifier: EUPL-1.2

"""Content-Type headers as they occur, and as they should not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.ebms.content_type import ContentType, ContentTypeProblem, format_content_type, parse_content_type


@pytest.mark.parametrize(
    ("value", "media_type", "parameters"),
    [
        ("text/xml", "text/xml", {}),
        ("TEXT/XML; Charset=UTF-8", "text/xml", {"charset": "UTF-8"}),
        ('text/xml;charset="utf-8"', "text/xml", {"charset": "utf-8"}),
        ("text/xml ; charset = utf-8 ;", "text/xml", {"charset": "utf-8"}),
        ("text/xml;;charset=utf-8", "text/xml", {"charset": "utf-8"}),
        (
            'multipart/related; type="text/xml"; boundary="=_part_7f4c"; start="<soap@x>"',
            "multipart/related",
            {"type": "text/xml", "boundary": "=_part_7f4c", "start": "<soap@x>"},
        ),
        (
            "Multipart/Related; boundary=----=_Part_1; type=text/xml; start=<a@b>; start-info=x",
            "multipart/related",
            {"boundary": "----=_Part_1", "type": "text/xml", "start": "<a@b>", "start-info": "x"},
        ),
        ('multipart/related;\r\n\tboundary="a b"', "multipart/related", {"boundary": "a b"}),
        ("multipart/related;\n boundary=a", "multipart/related", {"boundary": "a"}),
        (r'a/b; c="\"\\;d"', "a/b", {"c": '"\\;d'}),
        ('a/b; c=""', "a/b", {"c": ""}),
        ("text/xml (a (nested) comment\\)) ; charset=utf-8 (another)", "text/xml", {"charset": "utf-8"}),
        ('a/b; c="(no comment)"', "a/b", {"c": "(no comment)"}),
        ("  text / xml ", "text/xml", {}),
    ],
)
def test_a_content_type_is_read(value, media_type, parameters):
    parsed = parse_content_type(value)
    assert parsed.media_type == media_type
    assert parsed.parameters == parameters


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "text/",
        "/xml",
        "text/xml charset=utf-8",
        "text/xml; charset",
        "text/xml; charset=",
        'text/xml; charset="utf-8',
        "text/xml; =utf-8",
        "text/xml; charset=a b",
        "text/xml (open",
        "text/xml; charset=utf-8; CHARSET=latin-1",
        "text/xml\r\nX-Evil: 1",
        "text/xml; charset=a\x00b",
        "text/xml; boundary=" + "a" * 9000,
        "te(x)t",
    ],
)
def test_an_unreadable_content_type_is_a_problem(value):
    with pytest.raises(ContentTypeProblem):
        parse_content_type(value)


def test_charset_and_multipart_are_named():
    assert parse_content_type("text/xml; charset=UTF-8").charset == "utf-8"
    assert parse_content_type("text/xml").charset is None
    assert parse_content_type("Multipart/Mixed").is_multipart
    assert not parse_content_type("text/xml").is_multipart


def test_every_value_is_quoted_when_written():
    written = format_content_type("multipart/related", {"type": "text/xml", "boundary": 'a"b\\c'})
    assert written == r'multipart/related; type="text/xml"; boundary="a\"b\\c"'
    assert ContentType("text/xml", {"charset": "UTF-8"}).format() == 'text/xml; charset="UTF-8"'


@pytest.mark.parametrize(
    ("media_type", "parameters"),
    [
        ("text", {}),
        ("text/x y", {}),
        ("text/xml", {"a b": "c"}),
        ("text/xml", {"a": "b\r\nX-Evil: 1"}),
        ("text/xml", {"a": "é"}),
    ],
)
def test_what_cannot_be_written_is_a_problem(media_type, parameters):
    with pytest.raises(ContentTypeProblem):
        format_content_type(media_type, parameters)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_value_that_is_written_is_read_again(value):
    assert parse_content_type(format_content_type("a/b", {"c": value})).parameters == {"c": value}


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_a_problem(value):
    try:
        parse_content_type(value)
    except ContentTypeProblem:
        return


@pytest.mark.parametrize("value", ["a/b; c=" + '"' + "\\x" * 4000, "a/b " + "(" * 8000, "a/b" + " ;" * 4000])
def test_adversarial_values_take_no_time(value):
    try:
        parse_content_type(value)
    except ContentTypeProblem:
        return
