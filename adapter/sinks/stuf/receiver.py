# SPDX-License-Identifier: EUPL-1.2

"""The calls to a receiver of StUF: a message goes out, and the answer to it means done, refused or unknown."""

from collections.abc import AsyncIterable
from typing import Final

from lxml import etree

from adapter.delivery import Permanent, SinkContext, StepFailed, Temporary
from adapter.sinks.access import AUTHORIZATION, SecretFile, basic_authorization
from adapter.sinks.connection import Answer, ask, open_client, refusal
from adapter.sinks.soap import ANSWER, FileRequest, envelope, probe, read_body
from adapter.sinks.stuf.answers import Refusal, read_confirmation, read_number, read_refusal
from adapter.sinks.stuf.names import ZKN
from adapter.sinks.stuf.options import StufZdsOptions
from adapter.sinks.stuf.security import UsernameToken

KNOWN_ALREADY: Final = "StUF016"
"""The receiver has had a message of this sender with this referentienummer."""

NOT_FOUND: Final = "StUF064"
"""The object that a message is about, or that it refers to, is not there."""

_FINAL: Final = frozenset(
    f"StUF{number}"
    for number in (
        # what the receiver cannot: its versions, messages, entities and functions
        *("001", "004", "007", "025", "031", "037", "040", "094"),
        # what is wrong with the message: whom it is from and to, its codes, its right to be there, its body
        *("010", "013", "022", "028", "034", "052", "055", "062", "064", "066", "067", "127"),
    )
)
"""The codes of StUF 3.01 that the same message gets again until somebody changes something."""


class Refused(StepFailed):
    """The receiver said no, by StUF: for good where the code says so, else to be tried again.

    `code` is what it called the reason. `waits_for_zaak`: the message is about a zaak that was made before it. A
    receiver may confirm a zaak and make it later, so that one it does not find may yet come.
    """

    def __init__(self, refusal: Refusal, what: str, *, waits_for_zaak: bool) -> None:
        reason = f"{what}: {refusal.reason}"
        final = refusal.code in _FINAL and not (waits_for_zaak and refusal.code == NOT_FOUND)
        super().__init__(Permanent(reason) if final else Temporary(reason), undone=True)
        self.code = refusal.code


class Receiver:
    """The two services of a receiver. SinkProblem where an address, a key or a password cannot be used."""

    def __init__(self, options: StufZdsOptions, context: SinkContext) -> None:
        self._options = options
        self._clock = context.clock
        self._urls = {
            "vrije_berichten": options.vrije_berichten,
            "ontvang_asynchroon": options.ontvang_asynchroon,
        }
        SecretFile.check(*options.secrets)
        self._http = open_client(options, self._urls, context)

    async def number(self, what: str, referentienummer: str, message: etree._Element) -> str:
        """Ask for the number of a new `zaak` or `document`; StepFailed without one."""
        operation = f"genereer{what.capitalize()}Identificatie"
        data = await self.written(message)
        answer, body = await self._ask(self._options.vrije_berichten, f"{operation}_Di02", data)
        found = None if body is None else read_number(body, operation, what)
        if found is None or not answer.is_success:
            raise self._failure(answer, body, operation, waits_for_zaak=False)
        number, answered = found
        _require_same(operation, referentienummer, answered)
        return number

    async def tell(
        self,
        operation: str,
        referentienummer: str,
        message: etree._Element | FileRequest,
        *,
        waits_for_zaak: bool,
    ) -> None:
        """Send a kennisgeving, and return when it was confirmed; else StepFailed."""
        data = message if isinstance(message, FileRequest) else await self.written(message)
        answer, body = await self._ask(self._options.ontvang_asynchroon, f"{operation}_Lk01", data)
        confirmed = None if body is None else read_confirmation(body)
        if confirmed is None or confirmed.berichtcode != "Bv03" or not answer.is_success:
            raise self._failure(answer, body, operation, waits_for_zaak=waits_for_zaak)
        _require_same(operation, referentienummer, confirmed.answered)

    async def written(self, message: etree._Element) -> bytes:
        """A message in its envelope, to be sent at once: the time in its security header counts."""
        return envelope(self._options.soap, await self._security(), message)

    async def probe(self) -> None:
        """SinkProblem where the receiver cannot be reached."""
        await probe(self._http, self._urls, await self._authorization())

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _ask(
        self, url: str, operation: str, data: bytes | FileRequest
    ) -> tuple[Answer, etree._Element | None]:
        headers = {**self._options.soap.headers(f"{ZKN}/{operation}"), **await self._authorization()}
        pieces: bytes | AsyncIterable[bytes] = data if isinstance(data, bytes) else data.pieces()
        if isinstance(data, FileRequest):
            headers["Content-Length"] = str(data.length)
        answer = await ask(self._http, "POST", url, headers=headers, data=pieces, limit=ANSWER)
        return answer, read_body(answer)

    def _failure(
        self, answer: Answer, body: etree._Element | None, what: str, *, waits_for_zaak: bool
    ) -> StepFailed:
        said = None if body is None else read_refusal(body)
        if said is not None and said.berichtcode is not None:
            return Refused(said, what, waits_for_zaak=waits_for_zaak)
        if not answer.is_success:
            return refusal(answer, what if said is None else f"{what}: {said.reason}", self._clock())
        why = "the answer is no StUF that was expected" if said is None else said.reason
        return StepFailed(Temporary(f"{what}: {why}"), undone=False)

    async def _security(self) -> tuple[etree._Element, ...]:
        wss = self._options.wss
        if wss is None:
            return ()
        token = UsernameToken(wss.username, await wss.secret.read(), wss.digest)
        return (token.header(self._options.soap, self._clock()),)

    async def _authorization(self) -> dict[str, str]:
        basic = self._options.basic
        return {} if basic is None else {AUTHORIZATION: await basic_authorization(basic)}


def _require_same(what: str, asked: str, answered: str | None) -> None:
    """An answer that says what it answers must say ours; the connection says it too, so it may be silent."""
    if answered is not None and answered != asked:
        raise StepFailed(
            Temporary(f"{what}: the answer is to message {answered[:50]!r}, and {asked} was sent"),
            undone=False,
        )
