"""Versions of one page that are more than a document has neighbours: pairs of such a group that no list holds.

In: pairs.npy and what was found of their words. Out: version-pairs.npy int64 (m, 2), rows, by (higher, lower), whose
words are compared next; see `icp.steps.graph.crowds`.
"""

from icp.engine.step import PartOutput, one_part
from icp.run.context import Context, document_parts
from icp.steps.graph.arrays import load, save
from icp.steps.graph.crowds import too_large, unlisted_pairs
from icp.steps.graph.semantic import NEAR_COPY, VERSIONS, compared, kept_apart


def find_versions(context: Context, part: str, output: PartOutput) -> None:
    """Write version-pairs.npy."""
    pairs = load(context, "pairs")
    linked = pairs[kept_apart(context) | (compared(context, "jaccards") >= NEAR_COPY)]
    found, left = unlisted_pairs(context, linked, pairs)
    save(output, f"{VERSIONS}pairs.npy", found)
    if left:
        output.info["warnings"] = [too_large(left, "versions of one page")]


def one_if_words(context: Context) -> list[str]:
    """One task; none where no words are compared."""
    return one_part(context) if context.config.graph.compares_texts else []


def parts_if_words(context: Context) -> list[str]:
    """The documents parts; none where no words are compared."""
    return document_parts(context) if context.config.graph.compares_texts else []
