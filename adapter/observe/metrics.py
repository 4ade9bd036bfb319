# SPDX-License-Identifier: EUPL-1.2

"""Counters, gauges and histograms of one adapter, in a registry of its own.

Labels come from closed sets only (names in the configuration, our own words for outcomes and reasons), never
from what a peer sends, so that no partner can make the number of time series grow.
"""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST

_PREFIX = "stam_adapter"
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


def installed_version() -> str:
    """Return the version of the installed adapter, or ``unknown`` when it runs from a bare source tree."""
    try:
        return version("stam-adapter")
    except PackageNotFoundError:
        return "unknown"


class Metrics:
    """Everything the adapter counts; one instance per daemon, handed to whoever counts.

    Each attribute is a metric of `prometheus_client` with the prefix ``stam_adapter_``; one with labels is
    used as ``metrics.received_total.labels(authority="voorbeeldstad", outcome="accepted").inc()``.
    """

    def __init__(self, adapter_version: str | None = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.build = Info("build", "Version of the adapter.", namespace=_PREFIX, registry=self.registry)
        self.build.info({"version": adapter_version if adapter_version is not None else installed_version()})
        self._count_messages()
        self._count_verzoeken()
        self._count_work()
        self._count_resources()
        self._count_revocation()

    def render(self) -> bytes:
        """Return all values in the Prometheus text format, to be served as `METRICS_CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def forget_authority(self, authority: str) -> None:
        """Say nothing more of the state of an authority that is not served any more."""
        with suppress(KeyError):  # of one that never had an agreement nothing was said
            self.agreement_end_seconds.remove(authority)
        self.certificate_not_after_seconds.remove_by_labels({"authority": authority})

    def _count_messages(self) -> None:
        self.received_total = self._counter(
            "received_total",
            "ebMS messages received from an identified partner, by what became of them.",
            "authority",
            "outcome",
        )
        self.received_bytes_total = self._counter(
            "received_bytes_total", "Octets of HTTP bodies received on the ebMS endpoint.", "authority"
        )
        self.receive_seconds = self._histogram(
            "receive_seconds", "Time from the first octet of a message to its HTTP answer.", "authority"
        )
        self.receiving = self._gauge("receiving", "HTTP requests on the ebMS endpoint in progress.")
        self.connections = self._gauge("connections", "Connections to a listener that are open.", "listener")
        self.connections_turned_away_total = self._counter(
            "connections_turned_away_total", "Connections that a listener had no room for.", "listener"
        )
        self.refused_total = self._counter(
            "refused_total", "Requests and messages refused, by reason.", "reason"
        )
        self.sent_total = self._counter(
            "sent_total", "Attempts to send an ebMS message, by what became of them.", "authority", "outcome"
        )
        self.acknowledgments_sent_total = self._counter(
            "acknowledgments_sent_total",
            "Acknowledgments sent, by what became of them.",
            "authority",
            "outcome",
        )
        self.acknowledgments_received_total = self._counter(
            "acknowledgments_received_total",
            "Acknowledgments received for messages we sent, by what became of them.",
            "authority",
            "outcome",
        )

    def _count_verzoeken(self) -> None:
        self.collected_total = self._counter(
            "collected_total",
            "Attempts to collect a verzoek, by what became of them.",
            "authority",
            "outcome",
        )
        self.collected_bytes_total = self._counter(
            "collected_bytes_total", "Octets of documents collected from Verzoek afhandelen.", "authority"
        )
        self.download_bytes_total = self._counter(
            "download_bytes_total", "Octets received of files, as they come, kept or not.", "authority"
        )
        self.downloads_running = self._gauge("downloads_running", "Files being fetched.", "authority")
        self.downloads_continued_total = self._counter(
            "downloads_continued_total", "Downloads that broke off and went on where they were.", "authority"
        )
        self.files_left = self._gauge(
            "files_left", "Files yet to be fetched of the verzoeken that are being collected.", "authority"
        )
        self.reconciled_total = self._counter(
            "reconciled_total",
            "Hits of searches for missed verzoeken, by what was done with them; failed counts searches.",
            "authority",
            "outcome",
        )
        self.delivered_total = self._counter(
            "delivered_total",
            "Attempts to deliver to a sink, by what became of them.",
            "authority",
            "sink",
            "outcome",
        )
        self.delivery_seconds = self._histogram(
            "delivery_seconds", "Time one attempt to deliver took.", "authority", "sink"
        )
        self.outgoing_total = self._counter(
            "outgoing_total", "Outgoing HTTP requests, by purpose and result.", "kind", "outcome"
        )

    def _count_work(self) -> None:
        self.jobs_total = self._counter("jobs_total", "Attempts at a job that ended.", "kind", "outcome")
        self.jobs_waiting = self._gauge("jobs_waiting", "Jobs that wait for their turn or time.", "kind")
        self.jobs_running = self._gauge("jobs_running", "Jobs being worked on.", "kind")
        self.jobs_parked = self._gauge("jobs_parked", "Jobs that wait for an operator.", "kind")
        self.job_seconds = self._histogram("job_seconds", "Time one attempt at a job took.", "kind")
        self.unexpected_errors_total = self._counter(
            "unexpected_errors_total", "Exceptions no code expected; each is in the log.", "kind"
        )

    def _count_resources(self) -> None:
        self.store_write_seconds = self._histogram(
            "store_write_seconds", "Time from asking for a transaction to its commit."
        )
        self.retention_purged_total = self._counter(
            "retention_purged_total", "What was removed because its time to be kept had passed.", "what"
        )
        self.restore_lost_total = self._counter(
            "restore_lost_total",
            "Contents that were not there after a restore from a backup, by what followed from that.",
            "outcome",
        )
        self.spool_bytes = self._gauge("spool_bytes", "Octets of payloads in the spool.")
        self.certificate_not_after_seconds = self._gauge(
            "certificate_not_after_seconds",
            "When the first certificate of a kind to end does so, in seconds since 1970.",
            "authority",
            "kind",
        )
        self.agreement_end_seconds = self._gauge(
            "agreement_end_seconds",
            "When the first agreement of an authority to end does so, in seconds since 1970.",
            "authority",
        )

        self.authority_not_reloaded = self._gauge(
            "authority_not_reloaded",
            "1 where what the files say of an authority cannot be used, and it is served as it was before.",
            "authority",
        )

        self.listener_keys_not_reloaded = self._gauge(
            "listener_keys_not_reloaded",
            "1 where the certificate files of a listener cannot be used, and it shows what it had before.",
            "listener",
        )

    def _count_revocation(self) -> None:
        # an issuer is an authority of a chain that was verified: how many there are, the roots decide
        self.crl_this_update_seconds = self._gauge(
            "crl_this_update_seconds",
            "When the revocation list in use was made, in seconds since 1970.",
            "issuer",
        )
        self.crl_next_update_seconds = self._gauge(
            "crl_next_update_seconds",
            "When the revocation list in use expires, in seconds since 1970; 0 where there is none.",
            "issuer",
        )
        self.crl_fetches_total = self._counter(
            "crl_fetches_total", "Attempts to fetch a revocation list.", "issuer", "outcome"
        )
        self.revocation_total = self._counter(
            "revocation_total",
            "Chains of certificates that did not hold, by where they were shown, why, and what was done.",
            "place",
            "reason",
            "outcome",
        )

    def forget_issuer(self, issuer: str) -> None:
        """Say nothing more of the revocation list of an issuer that nobody shows any more."""
        for gauge in (self.crl_this_update_seconds, self.crl_next_update_seconds):
            with suppress(KeyError):
                gauge.remove(issuer)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=_PREFIX, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=_PREFIX, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace=_PREFIX, registry=self.registry, buckets=_SECONDS)
