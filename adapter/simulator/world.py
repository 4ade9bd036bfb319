# SPDX-License-Identifier: EUPL-1.2

"""A throw-away world in a directory: PKI, CPAs, the keys of DSO-LV, and the configuration of an adapter that fits.

The demo, `simulate` and the tests all start from it. Nothing in it is secret or meant to last; every OIN begins with
the test prefix 00000099.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from adapter.pki import IssuedCertificate, KeyPair, ThrowawayPki, TrustStore, load_key_pair
from adapter.simulator.api import DEFAULT_BASE
from adapter.simulator.publishing import CPA_BASE
from cpa import (
    Agreement,
    CpaDraft,
    PartyDraft,
    PartyId,
    Profile,
    Service,
    SyncReplyMode,
    agreement_for,
    parse_cpa,
    write_cpa,
)
from cpa.names import OIN_TYPE, SERVICE_TYPE

DSO_OIN: Final = "00000099000000001000"
SERVICE: Final = Service("Verzoeknotificatie:1:0", SERVICE_TYPE)
ACTION: Final = "verzoeknotificatie"
REPLY: Final = "bevestiging"
"""An action in the other direction, so that the CPA has both."""

ROLES: Final = ("DSO-LV", "BevoegdGezag")


@dataclass(frozen=True, slots=True)
class AgreementPlan:
    """How the agreement of one authority is to be: profile, reply mode, and retries."""

    profile: Profile = Profile.OSB_RM_S
    sync_reply: SyncReplyMode = SyncReplyMode.NONE
    retries: int = 8
    retry_interval: timedelta = timedelta(hours=3)
    sign_acknowledgments: bool = True


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everybody listens, on loopback."""

    adapter: int
    admin: int
    dso_ebms: int
    dso_api: int


def free_ports() -> Ports:
    """Four ports that are free at this moment; a CPA must name them before anybody listens."""
    sockets = [socket.socket() for _ in range(4)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return Ports(*(one.getsockname()[1] for one in sockets))
    finally:
        for one in sockets:
            one.close()


@dataclass(frozen=True, slots=True)
class WorldAuthority:
    """One authority of the world: its OIN, its CPA and where its verzoeken are delivered."""

    name: str
    oin: str
    cpa_id: str
    cpa_path: Path
    sink: Path


@dataclass(frozen=True, slots=True)
class World:
    """Everything that was made; `config` is the adapter's configuration file."""

    directory: Path
    ports: Ports
    dso_keys: KeyPair
    trust: TrustStore
    pki: ThrowawayPki = field(repr=False)
    authorities: tuple[WorldAuthority, ...] = ()

    @property
    def config(self) -> Path:
        """The configuration file of the adapter."""
        return self.directory / "stam-adapter.toml"

    def authority_file(self, name: str) -> Path:
        """The configuration file of an authority that has one of its own."""
        return self.directory / "authorities.d" / f"{name}.toml"

    @property
    def adapter_log(self) -> Path:
        """The file for what the adapter says, where it runs as a process of its own."""
        return self.directory / "adapter.log"

    @property
    def adapter_endpoint(self) -> str:
        """Where the adapter receives."""
        return f"https://localhost:{self.ports.adapter}/ebms"

    def agreements(self) -> Mapping[str, Agreement]:
        """Every agreement as DSO-LV sees it, by CPAId."""
        seen = [
            agreement_for(parse_cpa(authority.cpa_path.read_bytes()), PartyId(DSO_OIN, OIN_TYPE))
            for authority in self.authorities
        ]
        return {agreement.cpa_id: agreement for agreement in seen}


def create_world(
    directory: Path,
    plans: Mapping[str, AgreementPlan],
    *,
    ports: Ports | None = None,
    extra_config: str = "",
    now: datetime | None = None,
    key_size: int = 2048,
    apart: bool = False,
    pki: ThrowawayPki | None = None,
) -> World:
    """Make a world with one authority, and one agreement with DSO-LV, per plan (by the authority's name).

    `extra_config` is TOML that goes before the tables of the configuration; `key_size` is in bits, and small by
    default because tests make many worlds; `apart` gives each authority a file of its own in ``authorities.d``;
    `pki` issues the certificates, one made for it if not given.
    """
    now = now or datetime.now(UTC)
    maker = _Maker(directory, pki or ThrowawayPki(now), ports or free_ports(), now, key_size)
    maker.pki.root_pem(directory / "tls" / "root.pem")
    dso = maker.pki.issue("DSO-LV (simulatie)", DSO_OIN, key_size=key_size)
    authorities = tuple(
        maker.authority(number, name, plan, dso) for number, (name, plan) in enumerate(plans.items(), start=1)
    )
    world = World(
        directory=directory,
        ports=maker.ports,
        dso_keys=load_key_pair(*dso.write(directory / "tls", "dso")),
        trust=TrustStore([maker.pki.root]),
        pki=maker.pki,
        authorities=authorities,
    )
    head, tables = _configuration(world, extra_config), ""
    for authority in authorities:
        if apart:
            world.authority_file(authority.name).parent.mkdir(exist_ok=True)
            world.authority_file(authority.name).write_text(authority_toml(world, authority, ""), "utf-8")
        else:
            tables += "\n" + authority_toml(world, authority, f"authorities.{authority.name}")
    world.config.write_text(head + tables, encoding="utf-8")
    return world


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes authorities with their keys and agreements."""

    directory: Path
    pki: ThrowawayPki
    ports: Ports
    now: datetime
    key_size: int

    def authority(
        self, number: int, name: str, plan: AgreementPlan, dso: IssuedCertificate
    ) -> WorldAuthority:
        """An authority with its certificate, its CPA with DSO-LV, and a directory to deliver into."""
        oin = f"00000099{100_000_000 + number}000"
        title = f"Gemeente {name.capitalize()} (simulatie)"
        issued = self.pki.issue(title, oin, key_size=self.key_size)
        issued.write(self.directory / "tls", name)
        first = _party("DSO-LV (simulatie)", DSO_OIN, ROLES[0], self.ports.dso_ebms, dso)
        second = _party(title, oin, ROLES[1], self.ports.adapter, issued)
        cpa_id = f"Verzoeknotificatie_{DSO_OIN}_{oin}_simulatie"
        path = self.directory / "cpa" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._cpa(cpa_id, first, second, plan))
        sink = self.directory / "verzoeken" / name
        sink.mkdir(parents=True, exist_ok=True)
        return WorldAuthority(name, oin, cpa_id, path, sink)

    def _cpa(self, cpa_id: str, first: PartyDraft, second: PartyDraft, plan: AgreementPlan) -> bytes:
        return write_cpa(
            CpaDraft(
                cpa_id=cpa_id,
                start=self.now - timedelta(days=1),
                end=self.now + timedelta(days=60),
                first=first,
                second=second,
                service=SERVICE,
                first_sends=(ACTION,),
                second_sends=(REPLY,),
                profile=plan.profile,
                sync_reply=plan.sync_reply,
                retries=plan.retries,
                retry_interval=plan.retry_interval,
                sign_acknowledgments=plan.sign_acknowledgments,
            )
        )


def _party(name: str, oin: str, role: str, port: int, issued: IssuedCertificate) -> PartyDraft:
    return PartyDraft(
        name=name,
        party_id=PartyId(oin, OIN_TYPE),
        role=role,
        endpoint=f"https://localhost:{port}/ebms",
        signing_certificate=issued.certificate,
        client_certificate=issued.certificate,
        server_certificate=issued.certificate,
        encryption_certificate=issued.certificate,
    )


def _configuration(world: World, extra: str) -> str:
    return f"""# Made for a simulation: config/stam-adapter.toml of the project explains every option.
environment = "test"
state = "var"
{extra}
[trust]
roots = ["tls/root.pem"]

[ebms]
listen = "127.0.0.1:{world.ports.adapter}"
[ebms.tls]
certificate = "tls/{world.authorities[0].name}.pem"
key = "tls/{world.authorities[0].name}.key"

[admin]
listen = "127.0.0.1:{world.ports.admin}"

[retries]
first = "1s"
max = "1m"
"""


def authority_toml(world: World, authority: WorldAuthority, table: str) -> str:
    """The configuration of an authority: in this table, or without one as a file of ``authorities.d``."""
    head, dot = (f"[{table}]\n", f"{table}.") if table else ("", "")
    return f"""{head}party = "{OIN_TYPE}:{authority.oin}"
cpas = ["cpa/{authority.name}.xml"]
certificate = "tls/{authority.name}.pem"
key = "tls/{authority.name}.key"

[{dot}dso]
url = "https://localhost:{world.ports.dso_api}{DEFAULT_BASE}"

[{dot}publish]
url = "https://localhost:{world.ports.dso_api}{CPA_BASE}"

[[{dot}routes]]
flow = "stam"
sink = "archief"

[{dot}sinks.archief]
type = "directory"
path = "verzoeken/{authority.name}"
"""
