# SPDX-License-Identifier: EUPL-1.2

"""An agreement in use, with the keys and settings of its authority, for commands that send under it."""

from adapter.authorities import AgreementDocument, KnownAgreement, build_authorities
from adapter.cli.output import fail
from adapter.cli.settings import fail_configuration
from adapter.config import Config, ConfigProblem
from adapter.daemon import load_keys
from adapter.store import Database, active_agreements


async def known_agreement(db: Database, config: Config, cpa_id: str) -> KnownAgreement:
    """The agreement in use with this CPAId; ends the command where there is none, or its keys cannot be read."""
    rows = await db.read(active_agreements)
    documents = [AgreementDocument(row.authority, row.cpa_id, row.document) for row in rows]
    try:
        authorities, problems = build_authorities(config.authorities, load_keys(config), documents, "")
    except ConfigProblem as problem:
        fail_configuration(problem)
    known = authorities.find_agreement(cpa_id)
    if known is None:
        listed = ", ".join(sorted(one.cpa_id for one in authorities.agreements())) or "none"
        fail("\n".join([*problems, f"there is no agreement {cpa_id!r} in use; in use: {listed}"]))
    return known
