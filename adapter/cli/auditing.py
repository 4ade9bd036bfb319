# SPDX-License-Identifier: EUPL-1.2

"""What commands say in the audit trail: the user of the operating system, on this machine, and what was done."""

import os
import pwd
import socket
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from adapter.store import AuditEntry, AuditKind, AuditVia, Database, add_audit, change_audited
from adapter.work import utc_now

T = TypeVar("T")


def entry(
    kind: AuditKind, action: str, subject: str | None, authority: str | None, **detail: object
) -> AuditEntry:
    """What the audit trail is to say of a command. Who used sudo is in the detail, as sudo tells it."""
    detail = {"sudo_user": os.environ.get("SUDO_USER"), **detail}
    return AuditEntry(
        utc_now(),
        _user(),
        AuditVia.COMMAND,
        socket.gethostname(),
        kind,
        action,
        subject,
        authority,
        detail=detail,
    )


def changed(action: str, subject: str | None, authority: str | None = None, **detail: object) -> AuditEntry:
    """What to say of a change."""
    return entry(AuditKind.CHANGE, action, subject, authority, **detail)


def looked(action: str, subject: str | None, authority: str | None = None, **detail: object) -> AuditEntry:
    """What to say of a look at what may be personal."""
    return entry(AuditKind.LOOK, action, subject, authority, **detail)


async def note(db: Database, told: AuditEntry) -> None:
    """Say something in the audit trail: before the look, or before a change that is made elsewhere."""
    await db.write(add_audit, told)


async def change(db: Database, work: Callable[[Connection], T], told: Callable[[T], AuditEntry | None]) -> T:
    """Change the store, and say so in the same transaction; nothing where `told` has nothing to say."""
    return (await db.write(change_audited, work, told))[0]


def _user() -> str:
    """The user that this process runs as, whatever the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
