"""What a state holds that a loop or a loader kept.

In: what `icp.WindowDataset.state_dict` gave, perhaps by way of JSON or torch. Out: the place it names, checked.
"""

from collections.abc import Mapping
from typing import Any

from icp.dataset.place import whole
from icp.errors import ArtifactError, ConfigError


def place_of(state: Mapping[str, Any], shards: str, world_size: int) -> tuple[int, int]:
    """Epoch and start of a state.

    Raises: ArtifactError if it was taken from other shards; ConfigError if it is no state, or that of a loader with
        another number of ranks.
    """
    missing = [name for name in ("epoch", "start", "shards") if name not in state]
    if missing:
        raise ConfigError(f"the state lacks {', '.join(missing)}; expected what WindowDataset.state_dict() gave")
    place = whole("epoch of the state", state["epoch"]), whole("start of the state", state["start"])
    if state["shards"] != shards:
        raise ArtifactError(
            "the state was taken from other shards than these (their hashes differ); resume with the run and pack "
            "it came from, or start at 0"
        )
    if state.get("world_size", world_size) != world_size:
        raise ConfigError(
            f"the loader's state was taken with {state['world_size']} ranks, now there are {world_size}; for "
            "another number of ranks keep WindowDataset.state_dict(samples_seen)"
        )
    return place
