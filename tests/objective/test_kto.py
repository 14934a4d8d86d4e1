"""KTO: its loss against the paper's words and TRL's numbers, its gradients, its reference point on packed rows."""

import math
import tempfile
from pathlib import Path

import pytest
import torch

from mai1.data.batch import Batch, collate
from mai1.data.preferences import PackedPreferences
from mai1.dist import World
from mai1.evaluate.pairs import Mismatched, answer_logps
from mai1.evaluate.rows import Measuring
from mai1.loss import PairTotals
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.transformer import MoETransformer
from mai1.objective.pair_losses import Answers, PairLosses, PreferenceConfig, PreferenceMethod, pair_losses
from mai1.objective.preference import Preference
from tests.support.pairs import judged_rows, logp_alone, pair_rows, pair_trainer
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, tiny_model_config

NO_BALANCE = BalanceConfig(method=BalanceMethod.none, z_loss_weight=0.0)
LOGPS = torch.tensor([[-9.5, 0.0], [-20.0, 0.0], [-7.25, -11.25], [0.0, -18.0]], dtype=torch.float64)
REFERENCE = torch.tensor([[-10.0, 0.0], [-21.5, 0.0], [-6.5, -10.5], [0.0, -17.0]], dtype=torch.float64)
LENGTHS = torch.tensor([[5.0, 0.0], [8.0, 0.0], [3.0, 9.0], [0.0, 6.0]], dtype=torch.float64)
"""Three desirable and two undesirable answers; one prompt has both."""


def totals(reference_point: float) -> PairTotals:
    return PairTotals(num_pairs=4, num_desirable=3, num_undesirable=2, reference_point=reference_point)


def losses_at(logps_PA: torch.Tensor, reference_point: float, **settings) -> PairLosses:
    config = PreferenceConfig(method=PreferenceMethod.kto, **settings)
    return pair_losses(Answers(logps_PA, LENGTHS, REFERENCE, totals(reference_point)), config)


def test_the_loss_is_the_mean_over_answers_of_what_value_they_lack():
    found = losses_at(LOGPS, 0.5, beta=0.3, desirable_weight=1.2, undesirable_weight=0.7).loss_P.mean().item()
    lacking = []
    for logps, references, lengths in zip(LOGPS.tolist(), REFERENCE.tolist(), LENGTHS.tolist(), strict=True):
        for side, weight in ((0, 1.2), (1, 0.7)):
            if lengths[side]:
                above = 0.3 * (logps[side] - references[side] - 0.5)
                value = weight / (1 + math.exp(-above if side == 0 else above))
                lacking.append(weight - value)
    assert found == pytest.approx(sum(lacking) / 5, rel=1e-12)


OF_TRL = {
    "above": (
        {"beta": 0.3},
        [1.0, 0.5, -1.0, 2.0, 0.0],
        0.46298364984782375,
        [-0.015, -0.014667498701444752, -0.014484774075177143, 0.014484774075177145, 0.01426553759466776],
    ),
    "below": (
        {"beta": 0.5, "desirable_weight": 1.2, "undesirable_weight": 0.7},
        [-2.0, 0.5, -1.0, 2.0, -1.0],
        0.43419710561246144,
        [-0.0295360899285118, -0.026147399251417684, -0.028969548150354286, 0.016898903087706665, 0.016450259854111613],
    ),
}
"""Settings, log-ratios of mismatched answers, and loss and gradient by the answers' log-probabilities (desirable ones first) as
`KTOTrainer._compute_loss` of TRL 1.16.0 gives them; of the second its reference point is cut off at 0."""


@pytest.mark.parametrize("name", OF_TRL)
def test_loss_and_gradient_are_those_of_trl(name: str):
    settings, log_ratios, expected, gradient = OF_TRL[name]
    logps_PA = LOGPS.clone().requires_grad_()
    of_step = Preference(balance=NO_BALANCE, preference=PreferenceConfig()).totals([4, 3, 2, sum(log_ratios), 1, 1, 1])
    loss = losses_at(logps_PA, of_step.pairs.reference_point, **settings).loss_P.mean()
    [found_PA] = torch.autograd.grad(loss, logps_PA)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert found_PA.T[LENGTHS.T > 0].tolist() == pytest.approx(gradient, rel=1e-9)
    assert (found_PA[LENGTHS == 0] == 0).all()


def test_gradients_are_finite_differences():
    settings = {"beta": 0.7, "desirable_weight": 1.5}
    logps_PA = LOGPS.clone().requires_grad_()
    [gradient_PA] = torch.autograd.grad(losses_at(logps_PA, 0.25, **settings).loss_P.mean(), logps_PA)
    for place in ((0, 0), (2, 0), (2, 1), (3, 1)):
        step_PA = torch.zeros_like(LOGPS)
        step_PA[place] = 1e-5
        above, below = (losses_at(LOGPS + sign * step_PA, 0.25, **settings).loss_P.mean().item() for sign in (1, -1))
        assert gradient_PA[place].item() == pytest.approx((above - below) / 2e-5, rel=1e-6)


def test_figures_are_means_over_the_answers_of_a_kind():
    found = {name: value_P.mean().item() for name, value_P in losses_at(LOGPS, 0.25, beta=1.0).figures.items()}
    assert set(found) == set(PreferenceConfig(method=PreferenceMethod.kto).figures)
    assert found["reward_chosen"] == pytest.approx((0.5 + 1.5 - 0.75) / 3)
    assert found["reward_rejected"] == pytest.approx((-0.75 - 1.0) / 2)
    assert found["reward_margin"] == pytest.approx(found["reward_chosen"] - found["reward_rejected"])
    assert found["preference_accuracy"] == pytest.approx((1 + 1 + 0.5 + 1) / 4)  # above, above, a tie of a pair, below
    assert found["logp_chosen"] == pytest.approx(-36.75 / 3) and found["logp_rejected"] == pytest.approx(-29.25 / 2)
    assert found["nats_chosen"] == pytest.approx((9.5 / 5 + 20 / 8 + 7.25 / 3) / 3)
    assert found["log_ratio"] == pytest.approx((0.5 / 5 + 1.5 / 8 - 0.75 / 3 - 0.75 / 9 - 1 / 6) / 5)
    assert found["reference_point"] == 0.25


@pytest.fixture(scope="module")
def models() -> tuple[MoETransformer, MoETransformer]:
    """The start model, and one that has moved from it."""
    found = []
    for seed in (5, 6):
        model = MoETransformer(tiny_model_config(vocab_size=384))
        initialize(model, seed=seed)
        found.append(model)
    return tuple(found)


def measuring_of(model: MoETransformer) -> Measuring:
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
    return Measuring(model=model, world=world, rows_at_once=2, end_of_text_id=END_OF_TEXT)


def step_of(packed: PackedPreferences, samples: range) -> Batch:
    rows = [packed.read(sample) for sample in samples]
    return collate(rows, end_of_text_id=END_OF_TEXT, first_sample=samples.start)


def slow_mismatched(packed: PackedPreferences, numbers: list[int], model: MoETransformer) -> float:
    """Log-probabilities of mismatched answers, each alone through the model, summed: by what the rows of them hold."""
    total = 0.0
    for row in packed.mismatched:
        for answer in range(2 * len(row.pairs)):
            part = row.answers == answer
            if part.any() and int(row.pairs[answer // 2]) in numbers:
                ids = torch.from_numpy(row.ids[part])
                logps_TV = torch.log_softmax(model(ids[None, :-1]).logits_BTV[0].double(), dim=-1)
                mask = torch.from_numpy(row.loss_mask[part][1:])
                total += (logps_TV.gather(1, ids[1:, None])[:, 0] * mask).sum().item()
    return total


@pytest.mark.parametrize("makes", [judged_rows, pair_rows], ids=["one by one", "pairs"])
def test_packed_rows_have_the_loss_and_gradients_of_single_answers(models, makes):
    start, model = models
    packed = makes(count=20)
    if not packed.mismatched:
        packed = PackedPreferences(packed.pairs, sequence_length=64, seed=3, pad_id=257, is_mismatched=True)
    config = PreferenceConfig(method=PreferenceMethod.kto, beta=0.2, desirable_weight=1.3)
    with torch.no_grad():
        references = [
            answer_logps(rows, measuring_of(start), num_pairs=len(packed.pairs))
            for rows in (packed.rows, packed.mismatched)
        ]
    mismatched = Mismatched(rows=packed, measuring=measuring_of(model), reference_PA=references[1])
    objective = Preference(
        balance=NO_BALANCE, preference=config, reference_PA=references[0], log_ratios=mismatched.log_ratios
    )
    batch = step_of(packed, range(2, 5))
    totals_of_step = objective.totals(objective.count([batch], step=0))
    output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.isolating_segments_BT)
    model.zero_grad()
    losses = objective.losses(output, batch, step=0, totals=totals_of_step)
    losses.total.backward()
    fast = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}

    numbers = [int(number) for number in batch.pairs_BP.flatten() if number >= 0]
    with torch.no_grad():
        moved = slow_mismatched(packed, numbers, model) - slow_mismatched(packed, numbers, start)
    answers = [(side, told) for number in numbers for side, told in packed.pairs[number].answers]
    point = max(0.0, moved / len(answers))
    assert totals_of_step.pairs.reference_point == pytest.approx(point, rel=1e-5, abs=1e-5)
    model.zero_grad()
    slow = []
    for side, told in answers:
        with torch.no_grad():
            expected = logp_alone(start, told)
        above = 0.2 * (logp_alone(model, told) - expected - point)
        slow.append(1.3 * torch.sigmoid(-above) if side == 0 else torch.sigmoid(above))
    torch.stack(slow).mean().backward()
    assert losses.total.item() == pytest.approx(torch.stack(slow).mean().item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        if name in fast:
            assert torch.allclose(fast[name], parameter.grad, atol=2e-6), name


def _learn(world: World) -> dict:
    config = PreferenceConfig(method=PreferenceMethod.kto, beta=0.5)
    with tempfile.TemporaryDirectory() as folder:
        trainer = pair_trainer(world, Path(folder), config, rows=judged_rows(count=8), balance=NO_BALANCE)
        first, _ = trainer.train_step(0)
        for step in range(1, 9):
            last, _ = trainer.train_step(step)
    return {"first": first.means, "last": last.means}


def test_a_model_learns_which_answers_are_liked():
    [found] = run_ranks(_learn, 1)
    first, last = found["first"], found["last"]
    assert first["reference_point"] == pytest.approx(0, abs=1e-6) and first["loss"] == pytest.approx(0.5, abs=1e-6)
    assert last["loss"] < 0.25 and last["reward_chosen"] > 0.5 > -0.5 > last["reward_rejected"]
    assert last["preference_accuracy"] > 0.9
