# SPDX-License-Identifier: EUPL-1.2

"""How each authority is reconciled: its plan, from the configuration."""

from collections.abc import Callable, Mapping

from adapter.config import Config, ReconcileConfig
from adapter.daemon.collecting import Sources
from adapter.stam import Plan, SearchSettings, VerzoekAfhandelen


def reconcile_plans(config: Config, sources: Sources) -> Mapping[str, Plan]:
    """The plans by authority, of those with a table reconcile and somewhere to ask and to deliver."""
    plans: dict[str, Plan] = {}
    for name, authority in config.authorities.items():
        settings = authority.reconcile
        if settings is None or authority.dso is None:
            continue
        sink = settings.sink or authority.stam_sink
        if sink is not None:
            plans[name] = _plan(name, sink, settings, sources)
    return plans


def _plan(authority: str, sink: str, settings: ReconcileConfig, sources: Sources) -> Plan:
    return Plan(
        authority=authority,
        sink=sink,
        area=settings.area,
        client=_client(authority, sources),
        every=settings.every,
        days_back=settings.days_back,
        search=SearchSettings(settings.page_size, settings.request, settings.response),
    )


def _client(authority: str, sources: Sources) -> Callable[[], VerzoekAfhandelen]:
    """The client of an authority, made when it is first needed, as for collecting."""

    def client() -> VerzoekAfhandelen:
        source = sources.source(authority)
        if source is None:
            raise LookupError(f"authority {authority} has no dso")
        return source[0]

    return client
