"""Where a run lies: a folder of this machine, or a server's (fsspec), of which this machine holds a mirror.

Steps read and write local files either way. Of a run on a server, the mirror gets what is read when it is read; what a
task makes goes to the server before its record does.
"""

from icp.run.storage.exchange import Exchange
from icp.run.storage.mirror import Mirror, StagedPath
from icp.run.storage.places import (
    address_of,
    exchange_of,
    mirror_of,
    new_mirror,
    push_folder,
    push_small,
    run_folder,
    shown,
)

__all__ = [
    "Exchange", "Mirror", "StagedPath",
    "address_of", "exchange_of", "mirror_of", "new_mirror", "push_folder", "push_small", "run_folder", "shown",
]  # fmt: skip
