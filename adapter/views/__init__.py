# SPDX-License-Identifier: EUPL-1.2

"""What is kept, as a person or a machine reads it: for the command line and the status page alike.

Its modules are imported one by one: a small command does not wait for what another one shows.
"""
