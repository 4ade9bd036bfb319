# SPDX-License-Identifier: EUPL-1.2

"""The error table."""

import pytest

from adapter.ebms import DESCRIPTIONS, EbmsError, ErrorCode, FaultCode, Forbidden, Severity, SoapFault
from adapter.ebms.errors import highest_severity

DETAIL = "certificate CN=geheim of /srv/keys/key.pem"


def test_the_codes_are_those_of_the_standard() -> None:
    assert {code.value for code in ErrorCode} == {
        "ValueNotRecognized",
        "NotSupported",
        "Inconsistent",
        "OtherXml",
        "DeliveryFailure",
        "TimeToLiveExpired",
        "SecurityFailure",
        "MimeProblem",
        "Unknown",
    }
    assert {code.value for code in FaultCode} == {"Client", "Server", "VersionMismatch", "MustUnderstand"}
    assert {severity.value for severity in Severity} == {"Warning", "Error"}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_description_of_its_own(code: ErrorCode) -> None:
    assert DESCRIPTIONS[code]
    assert list(DESCRIPTIONS.values()).count(DESCRIPTIONS[code]) == 1


@pytest.mark.parametrize("code", ErrorCode)
def test_the_description_never_contains_the_detail(code: ErrorCode) -> None:
    error = EbmsError(code, "/a", DETAIL)
    assert error.description == DESCRIPTIONS[code]
    assert DETAIL not in error.description


def test_a_problem_is_an_error_unless_it_says_otherwise() -> None:
    assert EbmsError(ErrorCode.UNKNOWN).severity is Severity.ERROR


@pytest.mark.parametrize(
    ("severities", "highest"),
    [
        ((Severity.WARNING,), Severity.WARNING),
        ((Severity.ERROR,), Severity.ERROR),
        ((Severity.WARNING, Severity.ERROR, Severity.WARNING), Severity.ERROR),
        ((Severity.WARNING, Severity.WARNING), Severity.WARNING),
    ],
)
def test_the_highest_severity_is_that_of_the_worst(
    severities: tuple[Severity, ...], highest: Severity
) -> None:
    errors = tuple(EbmsError(ErrorCode.UNKNOWN, severity=severity) for severity in severities)
    assert highest_severity(errors) is highest


def test_a_problem_is_logged_with_code_place_and_detail() -> None:
    assert str(EbmsError(ErrorCode.OTHER_XML, "/a", DETAIL)) == f"OtherXml at /a: {DETAIL}"
    assert str(EbmsError(ErrorCode.UNKNOWN)) == "Unknown: Unknown error"


def test_a_fault_keeps_its_detail_apart_from_its_text() -> None:
    fault = SoapFault(FaultCode.CLIENT, "xml", "The message is not acceptable XML", DETAIL)
    assert (fault.text, fault.detail, str(fault)) == ("The message is not acceptable XML", DETAIL, DETAIL)
    plain = SoapFault(FaultCode.CLIENT, "xml", "No detail")
    assert (plain.text, plain.detail, str(plain)) == ("No detail", "No detail", "No detail")


def test_a_forbidden_peer_has_a_reason_for_the_counter_and_a_detail_for_the_log() -> None:
    forbidden = Forbidden("not_a_party", DETAIL)
    assert (forbidden.reason, str(forbidden)) == ("not_a_party", DETAIL)
