# SPDX-License-Identifier: EUPL-1.2

"""Small verzoekberichten, written out for one test each."""

NUMBER = "2023073100048"
GEMEENTE = "00000099000000001000"
DIENST = "00000099000000002000"
VX = "http://www.omgevingswet.nl/koppelvlak/stam-v4/verzoek"


def bericht(body: str = "", *, namespace: str = VX, drop: str | None = None) -> bytes:
    """A small verzoekbericht; `body` follows the fixed part, `drop` leaves one element out."""
    fields = {"doel": "Initieren", "type": "Melding", "verzoeknummer": NUMBER, "volgnummer": "000"}
    fixed = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items() if name != drop)
    gezag = "" if drop == "bevoegdGezag" else f"<bevoegdGezag><oin>{GEMEENTE}</oin></bevoegdGezag>"
    return f'<verzoekXML xmlns="{namespace}"><verzoek>{fixed}{gezag}{body}</verzoek></verzoekXML>'.encode()


def a_document(document_id: str, name: str = "a.pdf", vertrouwelijk: str = "false") -> str:
    return (
        f"<document><bestandsnaam>{name}</bestandsnaam><documentId>{document_id}</documentId>"
        f"<vertrouwelijk>{vertrouwelijk}</vertrouwelijk></document>"
    )


def at_verzoek(*documents: str) -> str:
    inner = f"<documenten>{''.join(documents)}</documenten>"
    return f"<verzoekBijlage><gevraagdeBijlage>{inner}</gevraagdeBijlage></verzoekBijlage>"


def at_question(*documents: str) -> str:
    inner = f"<gevraagdeBijlage><documenten>{''.join(documents)}</documenten></gevraagdeBijlage>"
    specificatie = f"<specificaties><specificatie>{inner}</specificatie></specificaties>"
    return (
        "<projectactiviteiten><projectactiviteit><volgnummer>9</volgnummer>"
        f"{specificatie}</projectactiviteit></projectactiviteiten>"
    )
