# SPDX-License-Identifier: EUPL-1.2

"""The admin listener: health and metrics for all, the status page and the application API for its users."""

from adapter.admin.app import ReadyCheck, create_admin_app
from adapter.admin.auth import load_users, weakness
from adapter.admin.calls import ApplicationApi
from adapter.admin.endings import WARNING, Ending
from adapter.admin.pages import Live, read_theme

__all__ = [
    "WARNING",
    "ApplicationApi",
    "Ending",
    "Live",
    "ReadyCheck",
    "create_admin_app",
    "load_users",
    "read_theme",
    "weakness",
]
