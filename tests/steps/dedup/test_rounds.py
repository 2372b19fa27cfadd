import itertools

import numpy as np
import pytest
from bucket_files import do_phase, made_context

from icp.dedup.stars import both_ways, large_star, make_edges, small_star
from icp.errors import ArtifactError
from icp.steps.dedup import rounds


def edges_of(pairs):
    highs, lows = np.array(pairs, np.int64).reshape(-1, 2).T
    return rounds.distinct(make_edges(highs, lows))


def pairs_of(edges):
    return list(zip((edges >> np.uint64(32)).tolist(), (edges & np.uint64(2**32 - 1)).tolist(), strict=True))


def reached(files, n):
    """The smallest position that each one reaches, breadth first."""
    near = [set() for _ in range(n)]
    for bucket in (bucket for buckets in files for bucket in buckets):
        for x in bucket:
            near[x] |= set(bucket)
    labels = [-1] * n
    for start in range(n):
        front = [start] if labels[start] < 0 else []
        while front:
            for x in front:
                labels[x] = start
            front = sorted({y for x in front for y in near[x] if labels[y] < 0})
    return labels


def rounds_over(folder, files, n):
    """Labels by stars, and in how many rounds."""
    context = made_context(folder, files, n)
    done = [phase.name for phase in rounds.star_phases() if do_phase(context, phase)]
    assert done[0] == "edges"
    labels = np.concatenate([rounds.star_labels(context, part) for part in rounds.ranges(n)])
    return labels.tolist(), len(done) // 2


def chain(positions):
    """Two files of pairs that follow one another."""
    pairs = [sorted(pair) for pair in itertools.pairwise(positions)]
    return [pairs[::2], pairs[1::2]]


def chains_of_all_lengths(random):
    """Chains of 1 to 200 positions, which lie anywhere."""
    positions = random.permutation(201 * 100).tolist()
    files = [[], []]
    for length in range(1, 201):
        mine, positions = positions[:length], positions[length:]
        files = [buckets + more for buckets, more in zip(files, chain(mine), strict=True)]
    return files, 201 * 100


def cliques_with_a_bridge(random):
    left, right = np.split(random.permutation(40), 2)
    return [[sorted(left.tolist())], [sorted(right.tolist()), sorted([int(left[3]), int(right[5])])]], 40


def scattered(random):
    n = 300
    buckets = [sorted(random.choice(n, random.integers(2, 5), replace=False).tolist()) for _ in range(120)]
    return [buckets[k::3] for k in range(3)], n


GRAPHS = {
    "chains": chains_of_all_lengths,
    "ordered chain": lambda random: (chain(list(range(200))), 200),
    "star around the last": lambda random: ([[[x, 99] for x in range(99)]], 100),
    "star around the first": lambda random: ([[[0, x] for x in range(1, 100)]], 100),
    "cliques": cliques_with_a_bridge,
    "scattered": scattered,
    "no bucket": lambda random: ([[], []], 5),
}


def test_large_star_moves_larger_neighbours_to_the_smallest():
    edges, moved = large_star(both_ways(edges_of([(2, 1), (3, 2), (4, 2)])))
    assert pairs_of(edges) == [(2, 1), (3, 1), (4, 1)]
    assert moved == 2


def test_small_star_moves_a_position_and_its_smaller_neighbours_to_the_smallest():
    edges, moved = small_star(edges_of([(4, 1), (4, 2), (4, 3), (5, 2)]))
    assert pairs_of(edges) == pairs_of(both_ways(edges_of([(4, 1), (2, 1), (3, 1), (5, 2)])))
    assert moved == 2


def test_stars_around_smallest_members_do_not_move():
    edges = both_ways(edges_of([(3, 0), (5, 0), (4, 1)]))
    large, moved = large_star(edges)
    assert (pairs_of(large), moved) == ([(3, 0), (4, 1), (5, 0)], 0)
    small, moved = small_star(large)
    assert (pairs_of(small), moved) == (pairs_of(edges), 0)


@pytest.mark.parametrize("n_ranges", [1, 2, 7])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_rounds_find_what_breadth_first_search_finds(tmp_path, monkeypatch, graph, n_ranges):
    files, n = graph(np.random.default_rng(3))
    monkeypatch.setattr(rounds, "UNION_FIND_POSITIONS", n - 1)
    monkeypatch.setattr(rounds, "RANGE_POSITIONS", -(-n // n_ranges))
    labels, _ = rounds_over(tmp_path, files, n)
    assert labels == reached(files, n)


@pytest.mark.parametrize("mixed", [False, True])
def test_rounds_grow_as_the_logarithm_of_a_chain(tmp_path, monkeypatch, mixed):
    n = 1000
    monkeypatch.setattr(rounds, "UNION_FIND_POSITIONS", 0)
    monkeypatch.setattr(rounds, "RANGE_POSITIONS", 400)
    positions = np.random.default_rng(0).permutation(n).tolist() if mixed else list(range(n))
    labels, n_rounds = rounds_over(tmp_path, chain(positions), n)
    assert labels == [0] * n
    assert n_rounds <= 2 + np.ceil(np.log2(n))


def test_few_candidates_need_no_rounds(tmp_path):
    context = made_context(tmp_path, chain([0, 1, 2]), 3)
    assert not any(phase.parts(context) for phase in rounds.star_phases())


def test_rounds_that_do_not_suffice_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "UNION_FIND_POSITIONS", 0)
    monkeypatch.setattr(rounds, "MAX_ROUNDS", 2)
    with pytest.raises(ArtifactError, match=r"2 rounds of stars over 50 candidates left \d+ edges in motion"):
        rounds_over(tmp_path, chain(list(range(50))), 50)
