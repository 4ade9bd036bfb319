"""The daemon and its parts, put together."""

from adapter.daemon.daemon import Daemon, Materials, load_trust, utc_now
from adapter.daemon.registry import Registry, load_keys
from adapter.daemon.sinks import make_sinks

__all__ = ["Daemon", "Materials", "Registry", "load_keys", "load_trust", "make_sinks", "utc_now"]
