"""The error of this package: a CPA that cannot be used as it stands."""


class CpaError(ValueError):
    """A CPA, or a part of it, is structurally wrong; the text names the element, its id and its line."""
