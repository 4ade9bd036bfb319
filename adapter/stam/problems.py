# SPDX-License-Identifier: EUPL-1.2

"""Why fetching a verzoek failed, said so that the one who retries knows whether it can help, and an
operator what to do.
"""

from datetime import datetime, timedelta

from adapter.net import describe_body, phrase_of, wait_asked


class FetchProblem(Exception):
    """Something could not be fetched from Verzoek afhandelen.

    `temporary`: trying again may help; `after`: how long the server asked to wait, if it did; `status`: its HTTP
    status, where it answered with another than 200.
    """

    def __init__(
        self, reason: str, *, temporary: bool, after: timedelta | None = None, status: int | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.temporary = temporary
        self.after = after
        self.status = status


_NO_RETRY = frozenset({400, 404, 405, 406, 410, 411, 413, 414, 415, 422, 431, 451})


def is_temporary(status: int, *, may_come_later: bool) -> bool:
    """Whether a request with this HTTP status may succeed later without a change on our side.

    Anything not known to be final is temporary. 401 and 403 are: certificates and whitelists are put right
    by people on the other side. A 404 is too for what `may_come_later`: the notification can come before the
    data it announces.
    """
    if status == 404 and may_come_later:
        return True
    return status not in _NO_RETRY and not 300 <= status < 400


def status_problem(
    status: int,
    body: bytes,
    retry_after: str | None,
    now: datetime,
    *,
    what: str,
    may_come_later: bool = False,
) -> FetchProblem:
    """The problem for an answer other than 200: `what` says what was asked, `body` is the beginning of the
    answer.
    """
    temporary = is_temporary(status, may_come_later=may_come_later)
    detail = describe_body(body)
    reason = (
        f"{what}: HTTP {status} {phrase_of(status)}" + (f": {detail}" if detail else "") + _advice(status)
    )
    return FetchProblem(
        reason, temporary=temporary, after=wait_asked(retry_after, now) if temporary else None, status=status
    )


def _advice(status: int) -> str:
    if status in {401, 403}:
        return (
            " (is the client certificate the one registered at DSO-LV, is the OIN on its whitelist, and is "
            "the verzoek addressed to it?)"
        )
    if 300 <= status < 400:
        return " (redirects are not followed; correct [authorities.….dso] url)"
    return ""
