# SPDX-License-Identifier: EUPL-1.2

"""The command line: `stam-adapter`."""

from adapter.cli.app import main

__all__ = ["main"]
