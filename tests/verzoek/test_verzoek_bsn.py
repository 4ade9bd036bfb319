# SPDX-License-Identifier: EUPL-1.2

"""A burgerservicenummer is masked wherever it stands, and nothing else is."""

import pytest

from adapter.verzoek import Verzoekbericht, read_verzoekbericht, without_bsn
from adapter.verzoek.bsn import mask
from tests.verzoek.berichten import a_document, at_verzoek, bericht

BSN = "999990019"  # of the series for tests


def a_verzoek(bsn: str = BSN, more: str = "") -> Verzoekbericht:
    person = f'<burgerservicenummer publiceerbaar="false">{bsn}</burgerservicenummer>'
    body = f"<initiatiefnemer><natuurlijkPersoon>{person}</natuurlijkPersoon></initiatiefnemer>"
    return read_verzoekbericht(bericht(body + more))


def bsn_of(verzoek: Verzoekbericht) -> str:
    assert verzoek.initiatiefnemer is not None
    assert verzoek.initiatiefnemer.natuurlijk_persoon is not None
    assert verzoek.initiatiefnemer.natuurlijk_persoon.burgerservicenummer is not None
    return verzoek.initiatiefnemer.natuurlijk_persoon.burgerservicenummer.text


@pytest.mark.parametrize(
    ("number", "shown"), [(BSN, "******019"), ("99999", "*****"), ("12", "**"), ("x" * 12, "*" * 9 + "xxx")]
)
def test_of_a_number_its_end_is_shown_or_nothing(number: str, shown: str) -> None:
    assert mask(number) == shown
    assert bsn_of(without_bsn(a_verzoek(number))) == shown


def test_it_is_masked_in_answers_and_names_of_files_too() -> None:
    question = (
        f"<specificaties><specificatie><antwoord>Mijn BSN: {BSN}.</antwoord></specificatie></specificaties>"
    )
    activities = (
        f"<projectactiviteiten><projectactiviteit>{question}</projectactiviteit></projectactiviteiten>"
    )
    masked = without_bsn(a_verzoek(more=activities + at_verzoek(a_document("1", f"paspoort {BSN}.pdf"))))
    assert masked.projectactiviteiten[0].specificaties[0].antwoord == "Mijn BSN: ******019."
    assert masked.documents[0].bestandsnaam == "paspoort ******019.pdf"


def test_a_number_too_short_to_be_one_hides_nothing_else() -> None:
    verzoek = a_verzoek("12", "<akkoordverklaring>12</akkoordverklaring>")
    assert without_bsn(verzoek).akkoordverklaring == "12"


def test_the_original_and_everything_else_stay_as_they_are() -> None:
    verzoek = read_verzoekbericht(bericht(at_verzoek(a_document("1"))))
    assert without_bsn(verzoek) == verzoek
    assert bsn_of(a_verzoek()) == BSN
