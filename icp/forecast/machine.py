"""The machine at hand: its processor, cores, memory, room on disk; and where rates measured on it are kept."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icp import __version__
from icp.machine import processor


def rates_path(settings: Mapping[str, Any]) -> Path:
    """Where rates for these settings, this version and this processor are kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = json.dumps([__version__, processor(), dict(settings)], sort_keys=True)
    return home / "icp" / "rates" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
