"""In-context pretraining data: related documents share a context window, each document exactly once.

Public names are loaded when first used, so `import icp` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0.dev0"

_HOME = {
    "shingle_hashes": "icp.minhash",
    "minhash_signatures": "icp.minhash",
    "find_duplicates": "icp.near_duplicates.duplicates",
    "embed_documents": "icp.embedders",
    "search_neighbors": "icp.graph.knn",
    "symmetrize": "icp.graph.knn",
    "visit_order": "icp.path.traversal",
    "plan_windows": "icp.packing.windows",
    "WindowDataset": "icp.shards.reader",
    "KnnGraph": "icp.data",
    "DocGraph": "icp.data",
    "Traversal": "icp.data",
    "PackPlan": "icp.data",
    "IcpError": "icp.errors",
    "ConfigError": "icp.errors",
    "InputError": "icp.errors",
    "ArtifactError": "icp.errors",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'icp' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
