# SPDX-License-Identifier: EUPL-1.2

"""The admin listener: health and metrics for all, the status page and the application API for its users."""

from adapter.admin.app import create_admin_app
from adapter.admin.auth import load_users, weakness
from adapter.admin.calls import ApplicationApi
from adapter.admin.endings import WARNING, Ending
from adapter.admin.health import EVERYBODY, Health, ReadyCheck, Report, Trouble
from adapter.admin.pages import Live, read_theme

__all__ = [
    "EVERYBODY",
    "WARNING",
    "ApplicationApi",
    "Ending",
    "Health",
    "Live",
    "ReadyCheck",
    "Report",
    "Trouble",
    "create_admin_app",
    "load_users",
    "read_theme",
    "weakness",
]
