"""In-context pretraining data: related documents share a context window, each document exactly once.

Public names are loaded when first used, so `import icp` costs nothing.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0.dev0"

_CLONE = Path(__file__).parents[1]
if not (Path(__file__).parent / "kernels").exists() and (_CLONE / "kernels" / "_jit.py").exists():
    # a checkout: kernels, jobs and configs lie beside this folder; an installed package holds them
    __path__.append(str(_CLONE))

_HOME = {
    "shingle_hashes": "icp.dedup.shingles",
    "minhash_signatures": "icp.dedup.minhash",
    "find_duplicates": "icp.dedup.find_duplicates",
    "embed_documents": "icp.embed",
    "search_neighbors": "icp.knn.search",
    "symmetrize": "icp.knn.search",
    "visit_order": "icp.order.visit_order",
    "plan_windows": "icp.pack.plan_windows",
    "WindowDataset": "icp.dataset.windows",
    "make_run": "icp.whole_run",
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
