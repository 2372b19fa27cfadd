"""A hash of what a small file says, in the file itself: damage shows where no manifest keeps the hash of the file.

In: manifests, figures, the marker (JSON) and configurations (YAML). Out: the same with their seal, and what is wrong
with one that is there. Readers take a file without a seal, which older runs hold; `icp verify` and exports look at it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icp.errors import ArtifactError
from icp.run.records import hash_json, json_text, read_json

SEAL = "seal"
_LINE = "# sha256 of all lines above, by which icp sees that nobody changed them: "
CHANGED = "changed since icp wrote it"


def sealed(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree as JSON gives it back, with its seal."""
    plain = json.loads(json.dumps(tree))
    return {**plain, SEAL: hash_json(plain)}


def sealed_lines(text: str) -> str:
    """A text of whole lines with its seal as the last."""
    return f"{text}{_LINE}{hashlib.sha256(text.encode()).hexdigest()}\n"


def broken_seal(path: Path) -> str | None:
    """What is wrong with the seal of a JSON file, as a phrase; empty if nothing is, None if the file has no seal.

    Raises: ArtifactError if the file cannot be read.
    """
    tree = read_json(path)
    if not isinstance(tree, dict) or SEAL not in tree:
        return None
    rest = {key: value for key, value in tree.items() if key != SEAL}
    same = tree[SEAL] == hash_json(rest) and path.read_bytes() == json_text(tree).encode()
    return "" if same else CHANGED


def broken_lines(path: Path) -> str | None:
    """As `broken_seal`, for a file of lines; raises ArtifactError if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror}); put it back") from None
    text, found, seal = data.rpartition(_LINE.encode())
    if not found:
        return None
    return "" if seal == f"{hashlib.sha256(text).hexdigest()}\n".encode() else CHANGED
