# SPDX-License-Identifier: EUPL-1.2

"""Checks of channels: address, transport, reliable messaging, order and algorithms."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import SplitResult, urlsplit

from cpa.lint.finding import Problem, RuleTable, Scope, Severity
from cpa.lookup import DEFAULT_DURATION
from cpa.model import (
    DocExchange,
    Endpoint,
    EndpointType,
    Frequency,
    MessageOrder,
    Protocol,
    ReceiverBinding,
    SenderBinding,
    SyncReplyMode,
    Transport,
)
from cpa.names import AES128_GCM, AES256_GCM, SHA256, SHA384, SHA512

_HTTPS_PORT = 443
_BRIDGES_AN_OUTAGE = timedelta(hours=24)
_TRANSPORT_TIMEOUT = timedelta(minutes=2)
_DIGESTS = frozenset({SHA256, SHA384, SHA512})
_CIPHERS = frozenset({AES128_GCM, AES256_GCM})
_SIGNATURE_ENDINGS = ("sha256", "sha384", "sha512", "sha256-rsa-mgf1", "sha384-rsa-mgf1", "sha512-rsa-mgf1")
_KEY_TRANSPORTS = frozenset(
    {"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#rsa-oaep"}
)


def _transports(scope: Scope) -> Iterator[Transport]:
    for party in scope.document.parties:
        yield from party.transports


def _endpoints(scope: Scope) -> Iterator[tuple[str, Endpoint, SplitResult | None]]:
    """Each endpoint with where it is and its parts; None for an address that is none."""
    for transport in _transports(scope):
        for endpoint in transport.receiver.endpoints if transport.receiver else ():
            where = f"Endpoint {endpoint.uri!r} in Transport {transport.id!r}"
            yield where, endpoint, _split(endpoint.uri)


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  (reading it is what checks it)
    except ValueError:
        return None
    return parts if parts.hostname else None


def _https(scope: Scope) -> Iterator[Problem]:
    for where, _, parts in _endpoints(scope):
        if parts is None:
            yield Problem(Severity.ERROR, where, "is not an absolute URL; nothing can be sent to it")
        elif parts.scheme.lower() != "https":
            severity = Severity.ERROR if scope.production else Severity.WARNING
            yield Problem(
                severity, where, f"uses {parts.scheme} and not https; parties cannot identify each other"
            )


def _port(scope: Scope) -> Iterator[Problem]:
    for where, _, parts in _endpoints(scope):
        if parts is not None and parts.scheme == "https" and parts.port not in {None, _HTTPS_PORT}:
            severity = Severity.WARNING if scope.production else Severity.INFO
            yield Problem(
                severity,
                where,
                f"port {parts.port} is not 443; the firewall of the peer may not let it through",
            )


def _access_authentication(scope: Scope) -> Iterator[Problem]:
    for transport in _transports(scope):
        for side in (transport.sender, transport.receiver):
            if side is not None and side.access_authentication:
                yield Problem(
                    Severity.ERROR,
                    f"Transport {transport.id!r}",
                    f"asks for HTTP {', '.join(side.access_authentication)} authentication; Digikoppeling"
                    " allows the client certificate only, and no password is sent",
                )


def _http_version(scope: Scope) -> Iterator[Problem]:
    for transport in _transports(scope):
        for side in (transport.sender, transport.receiver):
            if side is not None and (side.protocol.name.upper(), side.protocol.version) != ("HTTP", "1.1"):
                yield Problem(
                    Severity.WARNING,
                    f"Transport {transport.id!r}",
                    f"TransportProtocol is {_named(side.protocol)} and not HTTP 1.1, which is what is used",
                )


def _tls_version(scope: Scope) -> Iterator[Problem]:
    for transport in _transports(scope):
        for side in (transport.sender, transport.receiver):
            if side is None or side.security is None:
                continue
            protocol = side.security.protocol
            if protocol.name.upper() != "TLS" or protocol.version not in {"1.2", "1.3"}:
                yield Problem(
                    Severity.WARNING,
                    f"Transport {transport.id!r}",
                    f"TransportSecurityProtocol is {_named(protocol)}; TLS 1.2 or 1.3 is used instead",
                )


def _named(protocol: Protocol) -> str:
    return f"{protocol.name} {protocol.version or '(no version)'}"


def _client_certificate(scope: Scope) -> Iterator[Problem]:
    severity = Severity.ERROR if scope.production else Severity.WARNING
    for transport in _transports(scope):
        sender = transport.sender
        if sender is None or sender.security is None or sender.security.certificate is None:
            yield Problem(
                severity,
                f"Transport {transport.id!r}",
                "has no ClientCertificateRef; the sender must identify itself with a client certificate",
            )


def _default_channel(scope: Scope) -> Iterator[Problem]:
    for party in scope.document.parties:
        channel = party.default_channel
        receiver = channel.transport.receiver
        wanted = (EndpointType.ALL_PURPOSE, EndpointType.REQUEST, EndpointType.RESPONSE)
        if receiver is None or receiver.endpoint(*wanted) is None:
            yield Problem(
                Severity.ERROR,
                f"DeliveryChannel {channel.id!r}",
                f"the default channel of {party.name!r} has no endpoint;"
                " acknowledgments and errors cannot be sent to it",
            )


def _sync_reply_mode(scope: Scope) -> Iterator[Problem]:
    for _, channel in scope.channels():
        mode = channel.characteristics.sync_reply_mode
        if mode in {SyncReplyMode.NONE, SyncReplyMode.MSH_SIGNALS_ONLY}:
            continue
        never = mode is SyncReplyMode.RESPONSE_ONLY
        yield Problem(
            Severity.ERROR if never else Severity.WARNING,
            f"DeliveryChannel {channel.id!r}",
            f"syncReplyMode is {mode}; Digikoppeling has none or mshSignalsOnly, and a business response"
            " always comes in an HTTP request of its own",
        )


def _bindings(scope: Scope) -> Iterator[tuple[DocExchange, SenderBinding | ReceiverBinding]]:
    for party in scope.document.parties:
        for exchange in party.doc_exchanges:
            for binding in (exchange.sender, exchange.receiver):
                if binding is not None:
                    yield exchange, binding


def _message_order(scope: Scope) -> Iterator[Problem]:
    for _, channel in scope.channels():
        for binding in (channel.doc_exchange.sender, channel.doc_exchange.receiver):
            reliable = binding.reliable_messaging if binding else None
            if reliable is None or reliable.message_order is MessageOrder.NOT_GUARANTEED:
                continue
            best_effort = channel.characteristics.ack_requested is Frequency.NEVER
            yield Problem(
                Severity.ERROR if best_effort else Severity.WARNING,
                f"DocExchange {channel.doc_exchange.id!r}",
                "MessageOrderSemantics is Guaranteed, which needs reliable messaging and is strongly"
                " discouraged; messages with a MessageOrder element are refused",
            )
            break


def _persist_duration(scope: Scope) -> Iterator[Problem]:
    for exchange, binding in _bindings(scope):
        reliable = binding.reliable_messaging
        if reliable is None or reliable.retries is None or reliable.retry_interval is None:
            continue
        span = (1 + reliable.retries) * reliable.retry_interval
        persist = DEFAULT_DURATION if binding.persist_duration is None else binding.persist_duration
        if persist <= span:
            yield Problem(
                Severity.WARNING,
                f"DocExchange {exchange.id!r}",
                f"PersistDuration ({persist}) is not longer than all attempts ({span}); a late repeat could"
                " be delivered twice, so message ids are kept for the longer of the two",
            )


def _retry_span(scope: Scope) -> Iterator[Problem]:
    for exchange, binding in _bindings(scope):
        reliable = binding.reliable_messaging
        if reliable is None or reliable.retries is None or reliable.retry_interval is None:
            continue
        span = (1 + reliable.retries) * reliable.retry_interval
        if span < _BRIDGES_AN_OUTAGE:
            yield Problem(
                Severity.WARNING,
                f"DocExchange {exchange.id!r}",
                f"all attempts take {span}, less than 24 hours; a night's outage of a peer is not bridged",
            )


def _retry_values(scope: Scope) -> Iterator[Problem]:
    for exchange, binding in _bindings(scope):
        reliable = binding.reliable_messaging
        if reliable is not None and (reliable.retries is None or reliable.retry_interval is None):
            yield Problem(
                Severity.INFO,
                f"DocExchange {exchange.id!r}",
                "Retries or RetryInterval is absent; attempts are spread over 5 days",
            )


def _retry_interval(scope: Scope) -> Iterator[Problem]:
    for exchange, binding in _bindings(scope):
        reliable = binding.reliable_messaging
        interval = reliable.retry_interval if reliable else None
        if interval is not None and interval < _TRANSPORT_TIMEOUT:
            yield Problem(
                Severity.WARNING,
                f"DocExchange {exchange.id!r}",
                f"RetryInterval ({interval}) is shorter than an HTTP time-out; attempts would overlap",
            )


def _sha2(scope: Scope) -> Iterator[Problem]:
    why = "is not SHA-256, SHA-384 or SHA-512; such signatures are refused unless legacy is on"
    for exchange, binding in _bindings(scope):
        signing = binding.non_repudiation
        if signing is None:
            continue
        where = f"DocExchange {exchange.id!r}"
        if signing.hash_function not in _DIGESTS:
            yield Problem(Severity.ERROR, where, f"HashFunction {signing.hash_function!r} {why}")
        for algorithm in signing.signature_algorithms:
            if not algorithm.uri.lower().endswith(_SIGNATURE_ENDINGS):
                yield Problem(Severity.ERROR, where, f"SignatureAlgorithm {algorithm.uri!r} {why}")


def _gcm(scope: Scope) -> Iterator[Problem]:
    for exchange, binding in _bindings(scope):
        for uri in _encryption_algorithms(binding):
            if uri not in _CIPHERS and not _is_key_transport(uri):
                yield Problem(
                    Severity.ERROR,
                    f"DocExchange {exchange.id!r}",
                    f"EncryptionAlgorithm {uri!r} is not AES in GCM mode; CBC and 3DES are refused"
                    " unless legacy is on",
                )


def _oaep(scope: Scope) -> Iterator[Problem]:
    for exchange, binding in _bindings(scope):
        for uri in _encryption_algorithms(binding):
            if _is_key_transport(uri) and uri not in _KEY_TRANSPORTS:
                yield Problem(
                    Severity.ERROR,
                    f"DocExchange {exchange.id!r}",
                    f"EncryptionAlgorithm {uri!r} is not RSA-OAEP; RSA 1.5 is refused unless legacy is on",
                )


def _encryption_algorithms(binding: SenderBinding | ReceiverBinding) -> tuple[str, ...]:
    envelope = binding.digital_envelope
    return tuple(algorithm.uri for algorithm in envelope.algorithms) if envelope else ()


def _is_key_transport(uri: str) -> bool:
    return "rsa" in uri.rpartition("#")[2].lower()


CHANNEL_RULES: RuleTable = (
    ("TRN-01", _https),
    ("TRN-09", _port),
    ("TRN-08", _access_authentication),
    ("TRN-10", _http_version),
    ("CPA-11", _tls_version),
    ("CPA-12", _client_certificate),
    ("CPA-06", _default_channel),
    ("SYN-01", _sync_reply_mode),
    ("ORD-05", _message_order),
    ("REL-11", _persist_duration),
    ("REL-10", _retry_span),
    ("REL-09", _retry_values),
    ("REL-19", _retry_interval),
    ("SIG-04", _sha2),
    ("ENC-03", _gcm),
    ("ENC-04", _oaep),
)
