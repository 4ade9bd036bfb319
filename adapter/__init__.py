# SPDX-License-Identifier: EUPL-1.2

"""The Digikoppeling STAM adapter: receives verzoeknotificaties over ebMS 2.0 and hands complete verzoeken to a sink."""
