# SPDX-License-Identifier: EUPL-1.2

"""What can go wrong in the store."""


class StoreProblem(Exception):
    """The store cannot do what was asked; the message says why and what to do about it."""


class StoreLocked(StoreProblem):
    """Another daemon has this store."""


class StoreClosed(StoreProblem):
    """The store was closed."""


class StoreUnavailable(StoreProblem):
    """The database cannot be reached, or did not answer in time; it is certain that nothing was written."""


class StoreUnknown(StoreProblem):
    """The connection was lost while a transaction was committed: it may have been, or not.

    What was to be written must be looked up, or done again in a way that does no harm; nothing that a row may
    name now can be thrown away.
    """


class StaleState(StoreProblem):
    """A row was not in the state that the transition starts from; nothing was changed."""


class NotFound(StoreProblem):
    """There is no such row."""


class LeaseLost(StoreProblem):
    """The job is no longer held by who tries to end it: its lease expired and was taken over."""


class CpaOwnedByOther(StoreProblem):
    """Another authority has an active agreement with this CPAId."""


class SpoolDamaged(StoreProblem):
    """A content of the spool is gone, or is not what was written."""


class SpoolUnavailable(StoreProblem):
    """The spool cannot be reached, refuses us or did not answer in time; the same may succeed later."""
