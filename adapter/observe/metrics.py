# SPDX-License-Identifier: EUPL-1.2

"""Counters, gauges and histograms of one adapter, in a registry of its own.

Labels come from closed sets only (names in the configuration, our own words for outcomes and reasons), never
from what a peer sends, so that no partner can make the number of time series grow.
"""

import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST

_PREFIX = "stam_adapter"

# buckets that fit what is measured: something on this machine, a request, a job, and a verzoek from begin to end
_INSIDE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_REQUEST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_WORK = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_HANDLING = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 5 * 24 * 3600)


_ERRORS = (
    *("receive", "send", "route", "collect", "deliver", "reconcile", "ping", "notify"),
    *("sink", "admin", "health", "reload", "crl"),
)


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
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter that nobody asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.build = Info(
            "build", "Versions of the adapter and of Python.", namespace=_PREFIX, registry=self.registry
        )
        own = adapter_version if adapter_version is not None else installed_version()
        self.build.info({"version": own, "python": platform.python_version()})
        self._count_messages()
        self._count_sending()
        self._count_verzoeken()
        self._count_deliveries()
        self._count_work()
        self._count_resources()
        self._count_configuration()
        self._count_revocation()

    def render(self) -> bytes:
        """Return all values in the Prometheus text format, to be served as `METRICS_CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def know_authority(self, authority: str) -> None:
        """Show what may happen to an authority now and then, so that its first time is an increase from 0."""
        self.received_total.labels(authority, "refused")
        self.given_up_total.labels(authority, "business")
        self.sent_total.labels(authority, "acknowledgment", "failed")
        for outcome in ("failed", "unanswered"):
            self.pings_total.labels(authority, outcome)
        for outcome in ("fetched", "failed"):
            self.reconciled_total.labels(authority, outcome)

    def forget_authority(self, authority: str) -> None:
        """Say nothing more of the state of an authority that is not served any more."""
        for gauge in (self.agreement_end_timestamp_seconds, self.agreements):
            with suppress(KeyError):  # of one that never had an agreement nothing was said
                gauge.remove(authority)
        for gauge in (self.certificate_not_after_timestamp_seconds, self.sink_resting):
            gauge.remove_by_labels({"authority": authority})

    def _count_messages(self) -> None:
        self.received_total = self._counter(
            "received_total",
            "ebMS messages received under an agreement, by what became of them.",
            "authority",
            "outcome",
        )
        self.received_bytes_total = self._counter(
            "received_bytes_total", "Octets of envelopes and payloads received.", "authority"
        )
        self.last_accepted_timestamp_seconds = self._gauge(
            "last_accepted_timestamp_seconds",
            "When the last new business message was accepted, in seconds since 1970.",
            "authority",
        )
        self.receive_seconds = self._histogram(
            "receive_seconds", "Time from a request of a known partner to its HTTP answer.", _REQUEST
        )
        self.receiving = self._gauge("receiving", "HTTP requests on the ebMS endpoint in progress.")
        self.connections = self._gauge("connections", "Connections to a listener that are open.", "listener")
        self.connections_turned_away_total = self._counter(
            "connections_turned_away_total", "Connections that a listener had no room for.", "listener"
        )
        self.refused_total = self._counter(
            "refused_total", "Requests and messages refused, by reason.", "reason"
        )

    def _count_sending(self) -> None:
        self.sent_total = self._counter(
            "sent_total",
            "Attempts to send an ebMS message, by its kind and by what became of them.",
            "authority",
            "kind",
            "outcome",
        )
        self.sent_again_total = self._counter(
            "sent_again_total",
            "Attempts to send an ebMS message that were not the first.",
            "authority",
            "kind",
        )
        self.given_up_total = self._counter(
            "given_up_total",
            "ebMS messages that are not sent again though nobody took them.",
            "authority",
            "kind",
        )
        self.acknowledgments_sent_total = self._counter(
            "acknowledgments_sent_total",
            "Acknowledgments sent or returned in the HTTP answer, by what became of them.",
            "authority",
            "outcome",
        )
        self.acknowledgments_received_total = self._counter(
            "acknowledgments_received_total",
            "Acknowledgments received for messages we sent, by what became of them.",
            "authority",
            "outcome",
        )
        self.pings_total = self._counter(
            "pings_total", "Pings to partners, by what became of them.", "authority", "outcome"
        )

    def _count_verzoeken(self) -> None:
        self.collected_total = self._counter(
            "collected_total",
            "Attempts to collect a verzoek, by what became of them.",
            "authority",
            "outcome",
        )
        self.collect_seconds = self._histogram(
            "collect_seconds", "Time one attempt to collect a verzoek took.", _WORK, "authority"
        )
        self.collected_bytes_total = self._counter(
            "collected_bytes_total", "Octets of documents collected from Verzoek afhandelen.", "authority"
        )
        self.dso_requests_total = self._counter(
            "dso_requests_total", "Requests to Verzoek afhandelen, by their answer.", "authority", "outcome"
        )
        self.dso_request_seconds = self._histogram(
            "dso_request_seconds",
            "Time from a request to Verzoek afhandelen to the head of its answer.",
            _REQUEST,
            "authority",
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

    def _count_deliveries(self) -> None:
        self.delivered_total = self._counter(
            "delivered_total",
            "Attempts to deliver to a sink, by what became of them.",
            "authority",
            "sink",
            "outcome",
        )
        self.delivery_seconds = self._histogram(
            "delivery_seconds", "Time one attempt to deliver took.", _WORK, "authority", "sink"
        )
        self.handling_seconds = self._histogram(
            "handling_seconds",
            "Time from when a verzoek or message was taken on to its delivery.",
            _HANDLING,
            "authority",
        )
        self.sink_resting = self._gauge(
            "sink_resting",
            "1 while a sink that failed is left in peace, and what is for it waits.",
            "authority",
            "sink",
        )

    def _count_work(self) -> None:
        self.jobs_total = self._counter("jobs_total", "Attempts at a job that ended.", "kind", "outcome")
        self.jobs_waiting = self._gauge("jobs_waiting", "Jobs that wait for their turn or time.", "kind")
        self.jobs_running = self._gauge("jobs_running", "Jobs being worked on.", "kind")
        self.jobs_parked = self._gauge("jobs_parked", "Jobs that wait for an operator.", "kind")
        self.job_seconds = self._histogram("job_seconds", "Time one attempt at a job took.", _WORK, "kind")
        self.lane_jobs = self._gauge(
            "lane_jobs", "Jobs of a lane, by their state.", "authority", "lane", "state"
        )
        self.lane_oldest_seconds = self._gauge(
            "lane_oldest_seconds", "Age of the oldest job of a lane that is not parked.", "authority", "lane"
        )
        self.lane_paused = self._gauge("lane_paused", "1 for a lane that an operator paused.", "lane")
        self.unexpected_errors_total = self._counter(
            "unexpected_errors_total", "Exceptions no code expected; each is in the log.", "kind"
        )
        for kind in _ERRORS:  # there from the start, so that the first one is an increase
            self.unexpected_errors_total.labels(kind)

        self.notifications_total = self._counter(
            "notifications_total",
            "Attempts to tell people something, by what became of them.",
            "channel",
            "outcome",
        )
        self.alerts = self._gauge("alerts", "What there is now that people are told of.", "event")

    def _count_resources(self) -> None:
        self.store_transaction_seconds = self._histogram(
            "store_transaction_seconds",
            "Time a transaction took, from its turn to its commit.",
            _INSIDE,
            "operation",
        )
        self.store_wait_seconds = self._histogram(
            "store_wait_seconds", "Time a transaction waited for its turn.", _INSIDE, "operation"
        )
        self.event_loop_lag_seconds = self._histogram(
            "event_loop_lag_seconds", "How late the event loop turns to what is due.", _INSIDE
        )
        self.retention_purged_total = self._counter(
            "retention_purged_total", "What was removed because its time to be kept had passed.", "what"
        )
        self.restore_lost_total = self._counter(
            "restore_lost_total",
            "Contents that were not there after a restore from a backup, by what followed from that.",
            "outcome",
        )
        self.ready = self._gauge("ready", "1 while messages can be received, as /health/ready says.")
        self.health_troubles = self._gauge(
            "health_troubles",
            "Troubles that /health/ready names now: failed stops somebody's messages, warning nobody's.",
            "check",
            "status",
        )
        self.spool_bytes = self._gauge("spool_bytes", "Octets of payloads in the spool.")
        self.disk_free_bytes = self._gauge(
            "disk_free_bytes", "Octets that are free on the disk of a place.", "place"
        )

    def _count_configuration(self) -> None:
        self.certificate_not_after_timestamp_seconds = self._gauge(
            "certificate_not_after_timestamp_seconds",
            "When the first certificate of a kind to end does so, in seconds since 1970.",
            "authority",
            "kind",
        )
        self.agreements = self._gauge(
            "agreements", "Agreements of an authority that are in use.", "authority"
        )
        self.agreement_end_timestamp_seconds = self._gauge(
            "agreement_end_timestamp_seconds",
            "When the first agreement of an authority to end does so, in seconds since 1970.",
            "authority",
        )
        self.configuration_loaded = self._gauge(
            "configuration_loaded", "1 when the last look at the configuration could use all of it, else 0."
        )
        self.configuration_loaded_timestamp_seconds = self._gauge(
            "configuration_loaded_timestamp_seconds",
            "When a look at the configuration last could use all of it, in seconds since 1970.",
        )
        self.configuration_needs_restart = self._gauge(
            "configuration_needs_restart", "1 when the files say something that counts after a restart only."
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
        self.crl_this_update_timestamp_seconds = self._gauge(
            "crl_this_update_timestamp_seconds",
            "When the revocation list in use was made, in seconds since 1970.",
            "issuer",
        )
        self.crl_next_update_timestamp_seconds = self._gauge(
            "crl_next_update_timestamp_seconds",
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
        for gauge in (self.crl_this_update_timestamp_seconds, self.crl_next_update_timestamp_seconds):
            with suppress(KeyError):
                gauge.remove(issuer)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=_PREFIX, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=_PREFIX, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace=_PREFIX, registry=self.registry, buckets=buckets)
