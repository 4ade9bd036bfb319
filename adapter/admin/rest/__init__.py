# SPDX-License-Identifier: EUPL-1.2

"""The application API: the paths and JSON that software written for the reference adapter knows."""

from adapter.admin.rest.application import BASE, create_api_app

__all__ = ["BASE", "create_api_app"]
