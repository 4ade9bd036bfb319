"""The admin listener: health and metrics."""

from adapter.admin.app import ReadyCheck, create_admin_app

__all__ = ["ReadyCheck", "create_admin_app"]
