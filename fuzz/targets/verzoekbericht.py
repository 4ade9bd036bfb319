# SPDX-License-Identifier: EUPL-1.2

"""The STAM XML of a verzoek: what is read can be shown, masked, and written as JSON that is JSON."""

import json

from adapter.verzoek import VerzoekberichtProblem, as_document, read_verzoekbericht, without_bsn


def one_input(data: bytes) -> None:
    """Read it, and write it as operators and sinks see it."""
    try:
        read = read_verzoekbericht(data)
    except VerzoekberichtProblem as problem:
        assert problem.reason
        return
    for shown in (read, without_bsn(read)):
        json.dumps(as_document(shown), allow_nan=False)
    for locatie in read.projectlocaties:
        json.dumps([locatie.centre, locatie.geojson], allow_nan=False)
