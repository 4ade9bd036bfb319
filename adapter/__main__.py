# SPDX-License-Identifier: EUPL-1.2

"""`python -m adapter` is `stam-adapter`."""

from adapter.cli import main

if __name__ == "__main__":
    main()
