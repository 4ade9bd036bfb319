# SPDX-License-Identifier: EUPL-1.2

"""docs/interop.md says what the matrix says."""

from tests.interop.matrix import BEGIN, DOCUMENT, END, MATRIX, RUN, written
from tests.interop.test_interop_matrix import PLAYS


def test_the_table_in_the_document_is_that_of_the_matrix() -> None:
    document = DOCUMENT.read_text()
    assert BEGIN in document
    assert END in document
    assert written(document) == document, "run `python -m tests.interop.matrix`"


def test_every_combination_is_run_or_left_out_by_a_rule() -> None:
    assert len({one.name for one in MATRIX}) == len(MATRIX) == 6 * 2 * 2 * 5
    assert {(one.kind, one.way) for one in RUN} == PLAYS.keys()
