# SPDX-License-Identifier: EUPL-1.2

"""A stream of made-up messages as DSO-LV sends them: new verzoeken of every type, supplements and withdrawals."""

from dataclasses import dataclass, field, replace
from datetime import date
from random import Random
from typing import Final

from adapter.simulator.specs import (
    LONG_NAME,
    hostile_documents,
    random_documents,
    random_spec,
    verzoeknummer,
)
from adapter.simulator.verzoeken import SimulatedVerzoek, make_verzoek, supplement, withdrawal
from adapter.verzoek import Doel, VerzoekType

OTHER_DIENST: Final = "00000099000000005000"
"""A behandeldienst of the test series that is nobody's: what it handles comes to the bevoegd gezag as a copy."""

_MOST_OPEN: Final = 20  # a stream may run for days: older verzoeken are left alone
_TYPES: Final = tuple(VerzoekType)
_NEW: Final = frozenset({Doel.INITIEREN, Doel.CONCEPTVERZOEK})


@dataclass(slots=True)
class VerzoekStream:
    """Makes one message after the other, the same ones every time, on one day and for one bevoegd gezag.

    By default the types go round, every third message supplements an earlier verzoek and every ninth withdraws one;
    some share a project, are for another behandeldienst, or have a long name or hostile file names. With a `doel`
    every message has that one and a verzoeknummer of its own: a supplement or withdrawal of a verzoek that was never
    sent, as after a change of bevoegd gezag.
    """

    bevoegd_gezag: str
    day: date
    type: VerzoekType | None = None
    doel: Doel | None = None
    _open: list[SimulatedVerzoek] = field(default_factory=list)
    _sent: int = 0
    _numbers: int = 0
    _project: str | None = None

    def next(self) -> SimulatedVerzoek:
        """The next message."""
        self._sent += 1
        if self.doel is None and self._open and self._sent % 3 == 0:
            return self._withdraw() if self._sent % 9 == 0 else self._supplement()
        return self._new()

    def _new(self) -> SimulatedVerzoek:
        self._numbers += 1
        number = self._numbers
        spec = random_spec(verzoeknummer(self.day, number), self.bevoegd_gezag, seed=number)
        doel = self.doel or (Doel.CONCEPTVERZOEK if number % 5 == 0 else Doel.INITIEREN)
        verzoek = make_verzoek(
            replace(
                spec,
                type=(self.type or _TYPES[(number - 1) % len(_TYPES)]).value,
                doel=doel.value,
                volgnummer="000" if doel in _NEW else "001",
                behandeldienst=OTHER_DIENST if number % 6 == 0 else None,
                project=self._project if number % 4 == 0 else None,
                naam=LONG_NAME if number % 7 == 3 else spec.naam,
                documents=hostile_documents() if number % 8 == 4 else spec.documents,
            )
        )
        self._project = verzoek.spec.project_id
        self._open = [*self._open, verzoek][-_MOST_OPEN:]
        return verzoek

    def _supplement(self) -> SimulatedVerzoek:
        chance = self._chance()
        position = chance.randrange(len(self._open))
        earlier = self._open[position]
        dropped = [chance.choice(earlier.documents).document_id] if len(earlier.documents) > 1 else []
        first, *_ = random_documents(chance)
        added = [replace(first, bestandsnaam=f"aanvulling {first.bestandsnaam}")]
        supplemented = supplement(
            earlier, dropped=dropped, added=added, answers={"vraag-1": f"Anders dan gedacht ({self._sent})."}
        )
        self._open[position] = supplemented
        return supplemented

    def _withdraw(self) -> SimulatedVerzoek:
        return withdrawal(self._open.pop(self._chance().randrange(len(self._open))))

    def _chance(self) -> Random:
        return Random(self._sent)  # noqa: S311 - variety, no secret
