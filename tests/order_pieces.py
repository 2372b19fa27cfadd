"""The tasks of an order in pieces, one after another in one process: what the step `order` must leave."""

from itertools import pairwise

import numpy as np

from icp.order.matching import join_paths, match_fragments
from icp.order.pieces import (
    choose_marks,
    cut_pieces,
    improve_stretch,
    join_pieces,
    nearest_marks,
    shifted,
    stretch_bounds,
    unshifted,
)


def joined_in_pieces(graph, embeddings, n_pieces):
    """As `icp.order.matching.matching_order`, its paths joined inside pieces before these are joined."""
    paths = match_fragments(graph)
    marks = choose_marks(embeddings, n_pieces)
    near = nearest_marks(embeddings, marks, paths.order[paths.bounds[:-1]].astype(np.int64))
    pieces = cut_pieces(near, np.diff(paths.bounds), n_pieces)
    return join_pieces([join_paths(paths.chosen(piece), embeddings) for piece in pieces], embeddings)


def improved_in_stretches(order, graph, embeddings, n_pieces):
    """As `icp.order.matching.improve_order`, in stretches and then in shifted ones."""
    bounds = stretch_bounds(order.size, n_pieces)
    stretches = [improve_stretch(order[begin : end + 1], graph, embeddings) for begin, end in pairwise(bounds)]
    mended = [improve_stretch(shifted(stretches, n), graph, embeddings) for n in range(n_pieces - 1)]
    return unshifted(stretches, mended)
