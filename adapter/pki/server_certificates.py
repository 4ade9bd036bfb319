# SPDX-License-Identifier: EUPL-1.2

"""The certificates that a listener shows: one for each server name, others at any moment, and no connection is lost."""

import ssl
from collections.abc import Iterator, Sequence

from cryptography import x509

from adapter.pki.keys import KeyPair
from adapter.pki.tls import server_context
from adapter.pki.trust import TrustStore


class ServerCertificates:
    """What a listener shows to whom; `context` is for the server, and stays the same when the certificates change.

    A client that asks for a name in a certificate (subjectAltName) gets that one, the first of several; everybody else
    gets the first of all. `trust` and `required` are those of `server_context`.
    """

    def __init__(self, pairs: Sequence[KeyPair], trust: TrustStore | None, *, required: bool = True) -> None:
        self._trust, self._required = trust, required
        self.context = server_context(pairs[0], trust, required=required)
        self.context.sni_callback = self._choose
        self.show(pairs)

    def show(self, pairs: Sequence[KeyPair]) -> None:
        """Show these in every handshake that begins from now on; connections go on with what they have seen.

        Blocking for a few milliseconds each. Raises KeyProblem for one that TLS does not take; nothing is then changed.
        """
        contexts = [server_context(pair, self._trust, required=self._required) for pair in pairs]
        by_name: dict[str, ssl.SSLContext] = {}
        for pair, context in zip(pairs, contexts, strict=True):
            for name in server_names(pair.certificate):
                by_name.setdefault(name, context)
        self._shown = contexts[0], by_name

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        first, by_name = self._shown
        asked = (name or "").lower().rstrip(".")
        wildcard = "*." + asked.partition(".")[2]
        # a handshake that began with one context goes on with the certificate of another
        connection.context = by_name.get(asked) or by_name.get(wildcard) or first


def server_names(certificate: x509.Certificate) -> Iterator[str]:
    """The DNS names that a certificate is for, wildcards as they stand there."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return  # is then for whoever asks for no name
    for name in names.get_values_for_type(x509.DNSName):
        yield name.lower().rstrip(".")
