# SPDX-License-Identifier: EUPL-1.2

"""Benchmarks: `python -m bench` prints one table of what this machine can do with the adapter, and why."""
