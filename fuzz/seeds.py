# SPDX-License-Identifier: EUPL-1.2

"""Makes the corpora: `python -m fuzz.seeds` writes what the project itself makes into `fuzz/corpus`."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.ebms.algorithms import EXCLUSIVE, INCLUSIVE
from adapter.pki.throwaway import Layer, ThrowawayPki
from adapter.simulator import Applicant, DocumentSpec, Place, VerzoekSpec, make_verzoek, notification_xml
from adapter.verzoek import Doel, VerzoekType
from cpa import Profile, SyncReplyMode, write_cpa
from fuzz.targets import CORPUS, CRL_ISSUER
from tests.config.conftest import SMALL, WHOLE
from tests.cpa.conftest import draft, them, us
from tests.ebms.conftest import Template
from tests.ebms.envelopes import RICH, WIRE
from tests.verzoek.berichten import DIENST, GEMEENTE, NUMBER, a_document, at_question, at_verzoek, bericht

SAMPLE: Final = Path(__file__).parents[1] / "config" / "stam-adapter.toml"

_MULTIPART: Final = b'multipart/related; type="text/xml"; boundary="b=1"; start="<s@x>"\n'


def seeds() -> dict[str, dict[str, bytes]]:
    """Every seed of every target, by name."""
    return {
        "mime": _mime(),
        "envelope": {name.replace(" ", "-"): octets for name, octets in (WIRE | RICH).items()}
        | {"signed": Template().octets()},
        "signature": _signatures(),
        "cpa": _cpas(),
        "notification": {
            "dso": notification_xml(make_verzoek(_SPEC)),
            "other-root": f"<triggerbericht><trigger><verzoeknummer>{NUMBER}</verzoeknummer></trigger>"
            "<volgnummer>1</volgnummer></triggerbericht>".encode(),
        },
        "verzoekbericht": _verzoekberichten(),
        "config": {
            "whole": WHOLE.encode(),
            "small": SMALL.encode(),
            "sample": _without_comments(SAMPLE.read_text("utf-8")).encode(),
        },
        "crl": _crls(),
    }


_SPEC: Final = VerzoekSpec(NUMBER, GEMEENTE, behandeldienst=DIENST, documents=(DocumentSpec("a.pdf"),))


def _mime() -> dict[str, bytes]:
    soap = b"--b=1\r\nContent-Type: text/xml; charset=UTF-8\r\nContent-ID: <s@x>\r\n\r\n<a/>\r\n"

    def with_part(encoding: bytes, octets: bytes) -> bytes:
        head = b"--b=1\r\nContent-ID: <p@x>\r\nContent-Type: application/xml\r\n"
        return (
            _MULTIPART
            + soap
            + head
            + b"Content-Transfer-Encoding: "
            + encoding
            + b"\r\n\r\n"
            + octets
            + b"\r\n--b=1--"
        )

    return {
        "signal": _MULTIPART + soap + b"--b=1--\r\n",
        "base64": with_part(b"base64", b"PHZlcnpvZWs+\r\nAA==\r\n"),
        "quoted-printable": with_part(b"quoted-printable", b"soft=\r\n line =3D  \r\nend="),
        "binary": with_part(b"binary", b"\r\n--b=12\r\n--b=\r"),
        "boundaries": b"multipart/related; boundary=b\npreamble\r\n--b \t\nContent-ID:\r\n <p>\r\n\r\n--bx\r\n--b-"
        b"\r\n--b--y\n--b\n\n\r\r\n--b--  \nepilogue",
    }


def _signatures() -> dict[str, bytes]:
    whole = Template()
    canonical = '<ds:Transforms><ds:Transform Algorithm="{}"/></ds:Transforms>'
    return {
        "inclusive": whole.octets(),
        "exclusive": replace(whole, c14n=EXCLUSIVE, prefix="S").octets(),
        "no-filter": replace(whole, xpath=None).octets(),
        "for-next": replace(
            whole,
            headers='<x:h xmlns:x="urn:x" SOAP:actor="http://schemas.xmlsoap.org/soap/actor/next"/> text',
        ).octets(),
        "canonical-payload": replace(
            whole, cids=("p2@them", "p1@them"), payload_transforms=canonical.format(INCLUSIVE)
        ).octets(),
        "one-reference": replace(whole, cids=("p1@them",)).octets(),
    }


def _cpas() -> dict[str, bytes]:
    none = dict.fromkeys(
        ("signing_certificate", "client_certificate", "server_certificate", "encryption_certificate")
    )
    # without certificates they are small: one shared document has them
    return {
        "encrypted": write_cpa(draft(Profile.OSB_RM_E)),
        "reliable": write_cpa(draft(Profile.OSB_RM, first=them(**none), second=us(**none))),
        "best-effort": write_cpa(draft(Profile.OSB_BE, first=them(**none), second=us(**none))),
        "synchronous": write_cpa(
            draft(
                Profile.OSB_RM,
                first=them(**none),
                second=us(**none),
                sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY,
            )
        ),
    }


def _verzoekberichten() -> dict[str, bytes]:
    made = {
        f"{applicant}-{place}": make_verzoek(
            replace(
                _SPEC,
                doel=tuple(Doel)[number % len(Doel)],
                type=tuple(VerzoekType)[number % len(VerzoekType)],
                applicant=applicant,
                places=(place,),
                activities=1,
            )
        ).xml
        for number, (applicant, place) in enumerate(zip(tuple(Applicant) * 9, Place, strict=False))
    }
    made["small"] = bericht(at_verzoek(a_document("a" * 64), a_document("b" * 64)))
    made["question"] = bericht(at_question(a_document("a" * 64, "é.pdf", "true")))
    return made


@cache
def _authority() -> ThrowawayPki:
    return ThrowawayPki(datetime(2026, 1, 1, tzinfo=UTC), name="Fuzzing")


def _crls() -> dict[str, bytes]:
    pki = _authority()
    revoked = [pki.issue(name, None).certificate for name in ("one", "two")]
    der = pki.crl(Layer.TSP, revoked)
    for_users = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    return {
        "empty": pki.crl(Layer.TSP),
        "two": der,
        "pem": x509.load_der_x509_crl(der).public_bytes(Encoding.PEM),
        "delta": pki.crl(Layer.TSP, extensions=[x509.DeltaCRLIndicator(1)]),
        "scope": pki.crl(Layer.TSP, revoked, extensions=[for_users]),
        "other-issuer": pki.crl(Layer.ROOT),
    }


def _without_comments(text: str) -> str:
    """The sample with every option that is commented out, so that all names are there to be changed."""
    lines = (line.removeprefix("#") for line in text.splitlines() if not line.startswith("# "))
    return "\n".join(line for line in lines if line.strip()) + "\n"


def main() -> None:
    """Write every seed, and whom the revocation lists are of."""
    CRL_ISSUER.write_bytes(_authority().intermediate.public_bytes(Encoding.PEM))
    for target, made in seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, octets in made.items():
            (folder / name).write_bytes(octets)


if __name__ == "__main__":
    main()
