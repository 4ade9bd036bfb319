"""`python -m adapter` is `stam-adapter`."""

from adapter.cli import main

if __name__ == "__main__":
    main()
