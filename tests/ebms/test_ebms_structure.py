# SPDX-License-Identifier: EUPL-1.2

"""Our structural rules against the OASIS schema, on messages that are changed in every way."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from adapter.ebms import ErrorCode, SoapFault, read_envelope
from adapter.ebms.structure import SHAPES, check_structure, prefixed, text_of
from tests.ebms import envelopes
from tests.ebms.envelopes import ACK_REQUESTED, EB, MUST, RICH, SOAP, WIRE, changed, error, error_list, signal

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
MUST_UNDERSTAND = f"{{{SOAP}}}mustUnderstand"
CORPUS = WIRE | RICH
NO_BREAK_SPACE = "\u00a0"

Change = Callable[[etree._Element], None]


class Judges:
    """The schema, and us."""

    def __init__(self, schema: etree.XMLSchema) -> None:
        self._schema = schema

    def schema_accepts(self, data: bytes) -> bool:
        root = etree.fromstring(data)
        for element in root.iter("*"):
            value = element.get(MUST_UNDERSTAND)
            if value is not None:
                element.set(MUST_UNDERSTAND, {"true": "1", "false": "0"}.get(value, value))
        return self._schema.validate(root) and not any(map(_has_late_child, _elements(root)))

    @staticmethod
    def we_accept(data: bytes) -> bool:
        try:
            problems = read_envelope(data).problems
        except SoapFault as fault:
            if fault.reason != "header":
                raise
            return False
        return all(problem.code is not ErrorCode.OTHER_XML for problem in problems)

    def agree(self, data: bytes) -> bool:
        return self.schema_accepts(data) == self.we_accept(data)


@pytest.fixture(scope="session")
def judges(shared: Path) -> Judges:
    return Judges(envelopes.schema_of(shared))


def _has_late_child(element: etree._Element) -> bool:
    """Whether a child of ebXML stands after one of another namespace, which the wildcards of the schema forbid.

    libxml2 misses it after a wildcard that follows a repeated element: it goes back to before that element.
    """
    if element.tag == f"{{{EB}}}Acknowledgment":
        return False
    ours = [etree.QName(child).namespace == EB for child in element.iterchildren("*")]
    return ours != sorted(ours, reverse=True)


# --- changes to one element


def _is_entry(element: etree._Element) -> bool:
    parent = element.getparent()
    return parent is not None and etree.QName(parent).namespace == SOAP


def drop(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None and not _is_entry(element):
        parent.remove(element)


def duplicate(element: etree._Element) -> None:
    if not _is_entry(element):
        element.addnext(copy.deepcopy(element))


def swap_with_next(element: etree._Element) -> None:
    following = element.getnext()
    if following is not None and not _is_entry(element):
        following.addnext(element)


def move_to_front(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None and not _is_entry(element):
        parent.insert(0, element)


def rename_to(namespace: str | None) -> Change:
    def rename(element: etree._Element) -> None:
        if not _is_entry(element):
            element.tag = etree.QName(namespace, etree.QName(element).localname)

    return rename


def put_child(tag: str, *, first: bool) -> Change:
    def put(element: etree._Element) -> None:
        element.insert(0 if first else len(element), etree.Element(tag))

    return put


def put_text(text: str) -> Change:
    def put(element: etree._Element) -> None:
        element.text = text

    return put


def put_tail_text(element: etree._Element) -> None:
    if len(element):
        element[-1].tail = "text"


def split_text(element: etree._Element) -> None:
    comment = etree.Comment("here")
    comment.tail, element.text = element.text, None
    element.insert(0, comment)


def set_attribute(name: str, value: str) -> Change:
    def put(element: etree._Element) -> None:
        element.set(name, value)

    return put


def on_attributes(change: Callable[[etree._Element, str], None]) -> Change:
    """The change, made to all attributes of the element that the schema of ebMS itself describes."""

    def apply(element: etree._Element) -> None:
        for name in [str(name) for name in element.attrib]:
            change(element, name)

    return apply


def _unqualify(element: etree._Element, name: str) -> None:
    value = element.attrib.pop(name)
    element.set(etree.QName(name).localname, value)


CHANGES: dict[str, Change] = {
    "drop": drop,
    "duplicate": duplicate,
    "swap with next": swap_with_next,
    "move to front": move_to_front,
    "foreign name": rename_to("urn:x-other"),
    "no namespace": rename_to(None),
    "unknown name": lambda element: None if _is_entry(element) else element.set(f"{{{EB}}}unknown", "1"),
    "foreign child first": put_child("{urn:x-other}child", first=True),
    "foreign child last": put_child("{urn:x-other}child", first=False),
    "child without namespace": put_child("child", first=False),
    "ebXML child": put_child(f"{{{EB}}}Unknown", first=False),
    "another ebXML child": put_child(f"{{{EB}}}DuplicateElimination", first=False),
    "empty text": put_text(""),
    "blank text": put_text(" \n\t"),
    "other blank text": put_text(NO_BREAK_SPACE),
    "text": put_text("?!"),
    "text after the last child": put_tail_text,
    "comment": split_text,
    "drop attributes": on_attributes(lambda element, name: element.attrib.pop(name) and None),
    "empty attributes": on_attributes(lambda element, name: element.set(name, "")),
    "wrong attributes": on_attributes(lambda element, name: element.set(name, "?!")),
    "padded attributes": on_attributes(lambda element, name: element.set(name, f" {element.get(name)} ")),
    "unqualified attributes": on_attributes(_unqualify),
    "foreign attribute": set_attribute("{urn:x-other}a", "1"),
    "ebXML attribute": set_attribute(f"{{{EB}}}unknown", "1"),
    "attribute without namespace": set_attribute("a", "1"),
    "an id": set_attribute(f"{{{EB}}}id", "same"),
    "an actor": set_attribute(f"{{{SOAP}}}actor", "urn:x-actor"),
    "a language": set_attribute(XML_LANG, "nl"),
    "a hint to the schema": set_attribute(f"{{{XSI}}}noNamespaceSchemaLocation", "none.xsd"),
    "nil": set_attribute(f"{{{XSI}}}nil", "false"),
    "mustUnderstand false": lambda e: (
        e.set(MUST_UNDERSTAND, "false") if MUST_UNDERSTAND in e.attrib else None
    ),
}


def _each_attribute(element: etree._Element) -> Iterator[tuple[str, Change]]:
    for name in [str(name) for name in element.attrib]:
        yield f"drop {name}", lambda e, n=name: e.attrib.pop(n)  # type: ignore[misc]
        for value in ("", "?!", "true", "Warning"):
            yield f"{name}={value!r}", set_attribute(name, value)
        yield f"unqualified {name}", lambda e, n=name: _unqualify(e, n)  # type: ignore[misc]


def _elements(root: etree._Element) -> list[etree._Element]:
    """The ebXML elements of a message that are not inside one of another namespace."""

    def ours(element: etree._Element) -> bool:
        return all(etree.QName(a).namespace in {EB, SOAP} for a in element.iterancestors())

    return [element for element in root.iter(f"{{{EB}}}*") if ours(element)]


def _changed(root: etree._Element, number: int, change: Change) -> bytes:
    working = copy.deepcopy(root)
    change(_elements(working)[number])
    return etree.tostring(working)


# --- tests


@pytest.mark.parametrize("name", CORPUS)
def test_what_goes_over_the_wire_is_accepted_by_both(judges: Judges, name: str) -> None:
    assert judges.schema_accepts(CORPUS[name])
    assert judges.we_accept(CORPUS[name])


@pytest.mark.parametrize("name", CORPUS)
def test_one_change_gets_the_verdict_of_the_schema(judges: Judges, name: str) -> None:
    root = etree.fromstring(CORPUS[name])
    verdicts = set()
    for number, element in enumerate(_elements(root)):
        for what, change in (*CHANGES.items(), *_each_attribute(element)):
            data = _changed(root, number, change)
            verdicts.add(judges.schema_accepts(data))
            assert judges.agree(data), f"{prefixed(str(element.tag))}, {what}: the schema says {verdicts}"
    assert verdicts == {True, False}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(CORPUS)),
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from(sorted(CHANGES))), min_size=2, max_size=4),
)
@example("business", [(0, "an id"), (15, "an id")])
def test_several_changes_get_the_verdict_of_the_schema(
    judges: Judges, name: str, changes: list[tuple[int, str]]
) -> None:
    data = CORPUS[name]
    for number, change in changes:
        root = etree.fromstring(data)
        data = _changed(root, number % len(_elements(root)), CHANGES[change])
    assert judges.agree(data)


VALUES = [
    ("message-error", 'eb:highestSeverity="Error"', "eb:highestSeverity={!r}", st.text("EWarngo \t")),
    ("business", 'eb:signed="true"', "eb:signed={!r}", st.text("true01 ", max_size=5)),
    ("every option of a business message", 'eb:id="a1"', "eb:id={!r}", st.text("a:1.-_ \u00b2\u00b7\u00e9")),
    ("every option of a business message", 'xml:lang="en"', "xml:lang={!r}", st.text("aB1-_ ", max_size=12)),
    ("every option of a business message", 'eb:status="Reset"', "eb:status={!r}", st.just("Continue")),
    (
        "every option of a business message",
        ">0</eb:SequenceNumber>",
        ">{}</eb:SequenceNumber>",
        st.text("+-0123\u0661.", max_size=5),
    ),
    (
        "business",
        "2026-06-01T12:00:00Z",
        "{}",
        st.from_regex(
            r"\A20[0-9]{2}-[0-9]{2}-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,9})?"
            r"(Z|[+-][01][0-9]:[0-6][0-9])?\Z"
        ),
    ),
]


@pytest.mark.parametrize("case", range(len(VALUES)), ids=[old for _, old, _, _ in VALUES])
def test_values_get_the_verdict_of_the_schema(judges: Judges, case: int) -> None:
    name, old, new, values = VALUES[case]

    @settings(max_examples=150, deadline=None)
    @given(values)
    def check(value: str) -> None:
        assert judges.agree(changed(CORPUS[name], (old, new.format(value)), count=1))

    check()


@pytest.mark.parametrize("value", ["true", "false"])
def test_must_understand_may_be_a_word_though_the_schema_wants_a_digit(judges: Judges, value: str) -> None:
    data = changed(WIRE["business"], ('mustUnderstand="1"', f'mustUnderstand="{value}"'))
    assert judges.we_accept(data)
    assert read_envelope(data).problems == ()


@pytest.mark.parametrize("moment", ["-0001-01-01T00:00:00Z", "12026-01-01T00:00:00Z"])
def test_a_year_that_has_no_four_digits_is_refused_though_the_schema_allows_it(
    judges: Judges, moment: str
) -> None:
    data = changed(WIRE["ping"], ("2026-06-01T12:00:00Z", moment))
    assert judges.schema_accepts(data)
    assert not judges.we_accept(data)
    assert read_envelope(data).header.timestamp is None


def test_any_text_is_an_address_for_the_structure(judges: Judges) -> None:
    data = changed(WIRE["business"], ("cid:p2@them", "cid:%zz"))
    assert not judges.schema_accepts(data)
    assert judges.we_accept(data)


def test_the_type_of_an_element_cannot_be_replaced() -> None:
    typed = changed(
        ACK_REQUESTED.encode(), ("<eb:AckRequested", f'<eb:AckRequested xmlns:i="{XSI}" i:type="eb:x"')
    )
    data = changed(WIRE["business"], (ACK_REQUESTED, typed.decode()))
    assert [problem.code for problem in read_envelope(data).problems] == [ErrorCode.OTHER_XML]


def test_every_element_of_the_schema_has_a_shape(shared: Path) -> None:
    schema = etree.parse(shared / "xsd" / "ebms" / "msg-header-2_0.xsd").getroot()
    names = {f"{{{EB}}}{name}" for name in schema.xpath("//*[local-name()='element']/@name")}
    assert set(SHAPES) == names


def test_an_element_with_the_same_id_twice_is_refused(judges: Judges) -> None:
    data = changed(WIRE["business"], ("<eb:Reference ", '<eb:Reference eb:id="r" '))
    assert not judges.schema_accepts(data)
    (problem,) = read_envelope(data).problems
    assert (problem.code, problem.location) == (ErrorCode.OTHER_XML, "//eb:Reference/@eb:id")


@pytest.mark.parametrize(
    ("change", "location"),
    [
        (("<eb:CPAId>", '<eb:CPAId eb:type="x">'), "eb:MessageHeader/eb:CPAId/@eb:type"),
        (("<eb:From>", "<eb:From>text"), "eb:MessageHeader/eb:From"),
        (("<eb:Timestamp>2026", "<eb:Timestamp>26"), "eb:MessageHeader/eb:MessageData/eb:Timestamp"),
        ((' eb:signed="true"', ""), "eb:AckRequested"),
        (('eb:signed="true"', 'eb:signed="yes"'), "eb:AckRequested/@eb:signed"),
        (('eb:signed="true"', 'eb:signed="true" signed="true"'), "eb:AckRequested/@signed"),
        (("<eb:DuplicateElimination/>", "<eb:Unknown/>"), "eb:MessageHeader/eb:Unknown"),
        (("<eb:DuplicateElimination/>", "<DuplicateElimination/>"), "eb:MessageHeader/DuplicateElimination"),
    ],
)
def test_a_problem_names_the_place_with_the_usual_prefixes(change: tuple[str, str], location: str) -> None:
    (problem,) = read_envelope(changed(WIRE["business"], change)).problems
    assert problem.location == f"/SOAP:Envelope/SOAP:Header/{location}"
    assert problem.location in problem.detail


def test_an_element_of_another_namespace_has_no_shape_to_break() -> None:
    assert list(check_structure(etree.fromstring("<a>text<b/></a>"), "/a")) == []


def test_text_is_read_across_comments() -> None:
    assert text_of(etree.fromstring("<a>one<!-- x -->two<!-- y -->three</a>")) == "onetwothree"
    assert text_of(etree.fromstring("<a><!-- x --></a>")) == ""


@pytest.mark.parametrize(
    "data",
    [
        signal("MessageError", error_list(*(['<eb:Error eb:a=""/>'] * 2000))),
        signal("MessageError", error_list(*([error()] * 2000), "<eb:Error/>")),
    ],
)
def test_the_problems_of_a_huge_list_are_counted_in_time_and_number(data: bytes) -> None:
    assert 1 <= len(read_envelope(data).problems) <= 50


def test_an_empty_error_list_is_a_problem() -> None:
    (problem,) = read_envelope(signal("MessageError", error_list())).problems
    assert "lacks eb:Error" in problem.detail
    assert MUST in error_list()
