# SPDX-License-Identifier: EUPL-1.2

"""One module for each step from one version of the tables to the next."""
