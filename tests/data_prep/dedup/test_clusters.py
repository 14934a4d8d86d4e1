"""Pairs, clusters and keepers against networkx and plain loops; nothing depends on the order of work."""

import networkx
import numpy as np
import pytest

from data_prep.dedup.clusters import ClusterSizes, clusters_of, keepers, members_of, pairs_of_band


def plain_clusters(num_documents: int, pairs: np.ndarray) -> list[int]:
    graph = networkx.Graph()
    graph.add_nodes_from(range(num_documents))
    graph.add_edges_from(pairs.tolist())
    smallest = {one: min(members) for members in networkx.connected_components(graph) for one in members}
    return [smallest[number] for number in range(num_documents)]


def test_pairs_connect_exactly_the_documents_that_share_a_key():
    keys = np.random.default_rng(0).integers(0, 200, 500).astype(np.uint64)
    pairs = pairs_of_band(keys)
    assert (keys[pairs[:, 0]] == keys[pairs[:, 1]]).all() and (pairs[:, 0] < pairs[:, 1]).all()
    labels = clusters_of(500, [pairs])
    expected = [number if key == 0 else keys.tolist().index(key) for number, key in enumerate(keys.tolist())]
    assert labels.tolist() == expected


def test_the_key_zero_and_no_documents_give_no_pairs():
    assert pairs_of_band(np.zeros(5, np.uint64)).shape == (0, 2)
    assert pairs_of_band(np.empty(0, np.uint64)).shape == (0, 2)
    assert not len(clusters_of(0, []))


@pytest.mark.parametrize("seed", range(25))
def test_clusters_equal_connected_components(seed: int):
    rng = np.random.default_rng(seed)
    num_documents, num_pairs = int(rng.integers(1, 400)), int(rng.integers(0, 400))
    pairs = rng.integers(0, num_documents, (num_pairs, 2))
    assert clusters_of(num_documents, np.array_split(pairs, 3)).tolist() == plain_clusters(num_documents, pairs)


@pytest.mark.parametrize("shape", ["path", "path backwards", "random path", "star", "star on the last"])
def test_long_paths_and_stars_take_few_rounds(shape: str):
    size, rng = 200_000, np.random.default_rng(1)
    ends = np.arange(size)
    names = {"path backwards": ends[::-1], "random path": rng.permutation(size)}.get(shape, ends)
    pairs = np.stack([names[:-1], names[1:]], axis=1)
    if shape.startswith("star"):
        center = 0 if shape == "star" else size - 1
        pairs = np.stack([np.full(size, center), ends], axis=1)
    assert not clusters_of(size, [pairs]).any()


def test_the_order_of_pairs_and_bands_does_not_matter():
    rng = np.random.default_rng(2)
    pairs = rng.integers(0, 1000, (700, 2))
    expected = clusters_of(1000, [pairs])
    for _ in range(5):
        shuffled = rng.permutation(pairs)[:, ::-1]
        np.testing.assert_array_equal(clusters_of(1000, np.array_split(shuffled, 7)), expected)


def test_exactly_one_of_each_cluster_is_kept_and_it_is_the_first_by_priority():
    rng = np.random.default_rng(3)
    clusters = clusters_of(500, [rng.integers(0, 500, (300, 2))])
    rank, length = rng.integers(0, 3, 500), rng.integers(0, 50, 500)
    kept = keepers(clusters, [rank, -length])
    for label in np.unique(clusters):
        members = np.flatnonzero(clusters == label)
        best = min(members, key=lambda one: (rank[one], -length[one], one))
        assert np.flatnonzero(kept & (clusters == label)).tolist() == [best]


def test_with_content_as_the_last_priority_numbering_does_not_matter():
    rng = np.random.default_rng(4)
    pairs, content = rng.integers(0, 300, (200, 2)), rng.permutation(300).astype(np.uint64)
    rank = rng.integers(0, 2, 300)
    kept = keepers(clusters_of(300, [pairs]), [rank, content])
    number_of = rng.permutation(300)  # old document i is now number_of[i]
    back = np.argsort(number_of)
    renumbered = keepers(clusters_of(300, [number_of[pairs]]), [rank[back], content[back]])
    np.testing.assert_array_equal(renumbered[number_of], kept)


def test_documents_without_copies_all_stay():
    assert keepers(np.arange(5), [np.zeros(5)]).all() and not len(members_of(np.arange(5)))


def test_sizes_are_counted_by_powers_of_two_and_the_largest_named():
    sizes = ClusterSizes.of(np.array([0, 1, 1, 1, 4, 4, 6, 6, 6, 6, 6]))
    assert sizes.histogram == {2: 2, 4: 1} and sizes.largest == [(6, 5), (1, 3), (4, 2)]
    assert ClusterSizes.of(np.empty(0, np.int64)).histogram == {}
