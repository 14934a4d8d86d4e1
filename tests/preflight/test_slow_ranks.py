import math

import pytest
import torch

from mai1.preflight.slow_ranks import compare_speeds, num_rounds, partner_of, partners_by_round


@pytest.mark.parametrize("num_places", range(2, 34))
def test_no_two_places_meet_twice_and_all_meet_in_the_end(num_places: int):
    met = {place: [] for place in range(num_places)}
    for number in range(num_places - 1 + num_places % 2):
        for place in range(num_places):
            partner = partner_of(place, num_places, number)
            assert partner_of(partner, num_places, number) == place
            met[place] += [partner] * (partner != place)
    assert all(sorted(partners) == [p for p in range(num_places) if p != place] for place, partners in met.items())


@pytest.mark.parametrize("num_places", [2, 3, 4, 7, 8, 9, 100, 1875, 2048])
def test_rounds_grow_with_the_logarithm_and_everybody_meets_enough_others(num_places: int):
    rounds = num_rounds(num_places)
    assert rounds <= math.ceil(math.log2(num_places)) + 2
    for place in range(num_places):
        partners = {partner_of(place, num_places, number) for number in range(rounds)} - {place}
        assert len(partners) >= min(math.ceil(math.log2(num_places)) + 1, num_places - 1)


def test_one_rank_alone_has_nobody_to_meet():
    assert partners_by_round(["n0"]) == []
    speeds = compare_speeds(torch.empty(1, 0, 3), slow_factor=1.5)
    assert speeds.slow == [] and speeds.slowest is None and speeds.worst_factor == 1.0


def test_partners_are_of_different_nodes_and_at_the_same_place_in_theirs():
    hosts = [f"n{rank // 4}" for rank in range(24)]
    for partners in partners_by_round(hosts):
        for rank, partner in enumerate(partners):
            assert partner is None or (hosts[partner] != hosts[rank] and partner % 4 == rank % 4)
            assert partner is None or partners[partner] == rank


def test_a_node_with_fewer_ranks_leaves_the_others_of_its_partner_out():
    rounds = partners_by_round(["n0", "n0", "n0", "n1"])
    assert rounds == [[3, None, None, 0]]


def times(num_ranks: int, slow: dict[int, float], *, rounds: list[list[int | None]], seed: int) -> torch.Tensor:
    """Seconds of pairs that take a millisecond, up to 30% more, or as long as the slower of the two."""
    generator = torch.Generator().manual_seed(seed)
    seconds_NRK = torch.full((num_ranks, len(rounds), 5), torch.inf)
    for number, partners in enumerate(rounds):
        for rank, partner in enumerate(partners):
            if partner is not None and rank < partner:
                noise_K = 1 + 0.3 * torch.rand(5, generator=generator)
                factor = max(slow.get(rank, 1.0), slow.get(partner, 1.0))
                seconds_NRK[[rank, partner], number] = 1e-3 * factor * noise_K
    return seconds_NRK


@pytest.mark.parametrize("num_ranks", [3, 4, 5, 8, 16, 33, 512])
def test_every_slow_rank_is_named_and_no_other_whoever_it_is(num_ranks: int):
    rounds = partners_by_round(["n0"] * num_ranks)
    for slow in {0, 1, num_ranks // 2, num_ranks - 1}:
        seconds = times(num_ranks, {slow: 3.0}, rounds=rounds, seed=slow)
        assert compare_speeds(seconds, slow_factor=1.5).slow == [slow]


def test_two_slow_ranks_of_eight_are_both_named():
    rounds = partners_by_round(["n0"] * 8)
    for pair in ([0, 1], [2, 7], [3, 4]):
        seconds = times(8, dict.fromkeys(pair, 4.0), rounds=rounds, seed=0)
        assert compare_speeds(seconds, slow_factor=1.5).slow == pair


def test_a_clean_run_names_nobody_a_thousand_times():
    rounds = partners_by_round(["n0"] * 8)
    assert not any(compare_speeds(times(8, {}, rounds=rounds, seed=s), slow_factor=1.2).slow for s in range(1000))


def test_what_varies_more_than_it_differs_is_not_called_slow():
    """Without the second condition rank 3 would be: its best is twice the median's best."""
    seconds_NRK = torch.tensor([1.0, 5.0]).repeat(4, 2, 1)
    seconds_NRK[3] = torch.tensor([2.0, 5.0])
    assert compare_speeds(seconds_NRK, slow_factor=1.5).slow == []
    assert compare_speeds(seconds_NRK[:, :, :1], slow_factor=1.5).slow == [3]


def test_a_pause_of_the_whole_machine_in_one_round_hides_no_slow_rank():
    rounds = partners_by_round(["n0"] * 8)
    seconds_NRK = times(8, {2: 5.0}, rounds=rounds, seed=1)
    seconds_NRK[:, 1, 3] += 10.0
    assert compare_speeds(seconds_NRK, slow_factor=1.5).slow == [2]


def test_a_factor_of_zero_names_nobody_and_two_ranks_cannot_tell_who_it_is():
    rounds = partners_by_round(["n0"] * 4)
    seconds_NRK = times(4, {2: 50.0}, rounds=rounds, seed=0)
    assert compare_speeds(seconds_NRK, slow_factor=0).slow == []
    assert compare_speeds(times(2, {1: 50.0}, rounds=partners_by_round(["n0"] * 2), seed=0), slow_factor=1.5).slow == []
