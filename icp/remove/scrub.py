"""What manifests tell people of single documents, without those that were removed."""

from typing import Any

from icp.run.removed import names_one


def scrubbed(tree: Any, keys: frozenset[str]) -> Any:
    """The tree without list entries that are texts and name one of these ids."""
    if isinstance(tree, dict):
        return {name: scrubbed(value, keys) for name, value in tree.items()}
    if isinstance(tree, list):
        return [scrubbed(one, keys) for one in tree if not (isinstance(one, str) and names_one(one, keys))]
    return tree
