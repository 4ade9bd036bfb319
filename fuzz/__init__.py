# SPDX-License-Identifier: EUPL-1.2

"""Coverage-guided fuzzing of everything that reads what others wrote; docs/fuzzing.md tells how it is used."""
