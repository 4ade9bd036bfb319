# SPDX-License-Identifier: EUPL-1.2

"""One module per reader that is fuzzed, each with `one_input`: it reads any octets, and what escapes is a fault."""

from pathlib import Path
from typing import Final

TARGETS: Final = ("mime", "envelope", "signature", "cpa", "notification", "verzoekbericht", "config", "crl")
"""The modules of this package, each with a corpus of the same name."""

MARKUP: Final = frozenset({"envelope", "signature", "cpa", "notification", "verzoekbericht"})
"""Those that read XML, whose inputs are changed as trees too: changed octets seldom are XML."""

CORPUS: Final = Path(__file__).parents[1] / "corpus"
"""A directory for each target: the seeds that `python -m fuzz.seeds` makes, and what was found."""

CRL_ISSUER: Final = CORPUS.with_name("crl-issuer.pem")
"""The certificate, of an authority that does not exist, by which the lists of the corpus are signed."""
