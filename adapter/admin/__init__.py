# SPDX-License-Identifier: EUPL-1.2

"""The admin listener: health and metrics for all, the application API for its users."""

from adapter.admin.app import ReadyCheck, create_admin_app
from adapter.admin.auth import load_users, weakness
from adapter.admin.calls import ApplicationApi

__all__ = ["ApplicationApi", "ReadyCheck", "create_admin_app", "load_users", "weakness"]
