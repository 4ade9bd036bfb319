# SPDX-License-Identifier: EUPL-1.2

"""Why a file is no verzoekbericht that can be worked with."""


class VerzoekberichtProblem(ValueError):
    """A file is no readable verzoekbericht; the message is the reason for the operator."""

    @property
    def reason(self) -> str:
        """What is wrong, and where."""
        return str(self)
