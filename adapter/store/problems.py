"""What can go wrong in the store."""


class StoreProblem(Exception):
    """The store cannot do what was asked; the message says why and what to do about it."""


class StoreLocked(StoreProblem):
    """Another daemon has this store."""


class StoreClosed(StoreProblem):
    """The store was closed."""


class StaleState(StoreProblem):
    """A row was not in the state that the transition starts from; nothing was changed."""


class NotFound(StoreProblem):
    """There is no such row."""


class LeaseLost(StoreProblem):
    """The job is no longer held by who tries to end it: its lease expired and was taken over."""


class CpaOwnedByOther(StoreProblem):
    """Another authority has an active agreement with this CPAId."""


class SpoolDamaged(StoreProblem):
    """A spooled file is gone, or is not what was written."""
