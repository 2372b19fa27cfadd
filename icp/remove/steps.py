"""All steps before the packs, emptied of removed documents, each made of the others as they are then.

In: a finished run, its copy, what goes. Out: the copy; its manifests.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from icp.errors import IcpError
from icp.remove.documents import purge_documents
from icp.remove.links import purge_links
from icp.remove.scrub import scrubbed
from icp.remove.stage import Patch
from icp.remove.vectors import (
    purge_graph,
    purge_held_vectors,
    purge_near_held,
    purge_neighbors,
    purge_signatures,
    purge_tokens,
    purge_vectors,
)
from icp.remove.wanted import Gone
from icp.run.names import NODES, SURVIVORS, TOKENS, VALIDATION, subfolders
from icp.run.reader import open_run
from icp.run.records import MANIFEST, Manifest, remove_tree
from icp.run.removed import among, tombstone_identity
from icp.steps.documents.step import corpus_identity


def empty_steps(folder: Path, copy: Path, gone: Gone) -> dict[str, Manifest]:
    """Empty the steps of a copy; returns the manifests of `documents` to `graph`."""
    run = open_run(folder)
    nodes = np.asarray(run.array("graph", NODES))
    survivors = np.asarray(run.array("dedup", SURVIVORS))
    rows = np.flatnonzero(among(survivors, gone.docs))
    is_gone = among(nodes, gone.docs)
    made: dict[str, Manifest] = {}
    for step in ("documents", "dedup", "embeddings", "neighbors", "graph"):
        patch = Patch(copy / step)
        match step:
            case "documents":
                purge_documents(run, patch, gone)
            case "dedup":
                purge_signatures(run, patch, gone.docs)
            case "embeddings":
                purge_vectors(run, patch, rows)
                purge_held_vectors(run, patch, gone)
            case "neighbors":
                purge_neighbors(run, patch, rows)
            case "graph":
                purge_graph(patch, is_gone)
                purge_links(patch, is_gone)
                purge_near_held(run, patch, gone)
        patch.info = scrubbed(patch.info, gone.keys)
        made[step] = patch.save(made, _sources(folder, copy, patch) if step == "documents" else None)
    for path in subfolders(copy, TOKENS):
        if not (path / MANIFEST).exists():
            remove_tree(path)
            continue
        patch = Patch(path)
        purge_tokens(patch, is_gone, gone.docs, np.dtype(patch.facts["dtype"]))
        patch.info = scrubbed(patch.info, gone.keys)
        patch.save(made)
    return made


def _sources(folder: Path, copy: Path, patch: Patch) -> Mapping[str, Any]:
    """The files that documents are made of: the tombstones are others now, and so are a validation run's documents."""
    found = patch.manifest.basis["sources"]
    if folder.name == VALIDATION:
        with suppress(IcpError):
            found = dict(corpus_identity(open_run(folder).config))
    return {**found, **dict(tombstone_identity(copy))}
