import pytest
import torch
import torch.nn.functional as F

from mai1.model.norm import RMSNorm, RMSNormOnCPU


def random_tensor(*shape: int, seed: int = 0, **options) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("eps", [1e-6, 0.5])
@pytest.mark.parametrize(
    "x_D",
    [random_tensor(5, 3, 16), random_tensor(40), random_tensor(6, 4, 3).transpose(0, 1)],
    ids=["3d", "1d", "strided"],
)
def test_the_function_for_cpus_equals_torch_in_result_and_gradients(x_D: torch.Tensor, eps: float):
    x_D, norm = x_D.requires_grad_(), RMSNorm(x_D.shape[-1], eps=eps)
    norm.weight.data.copy_(random_tensor(x_D.shape[-1], seed=1))
    direction_D = random_tensor(*reversed(x_D.shape), seed=2).permute(*reversed(range(x_D.dim())))
    found, expected = norm(x_D), F.rms_norm(x_D, norm.weight.shape, norm.weight, eps)
    assert type(found.grad_fn).__name__ == "RMSNormOnCPUBackward"
    torch.testing.assert_close(found, expected)
    for mine, torchs in zip(
        *(torch.autograd.grad(y, (x_D, norm.weight), direction_D) for y in (found, expected)), strict=True
    ):
        torch.testing.assert_close(mine, torchs)


def test_the_function_for_cpus_has_the_gradient_of_finite_differences():
    x_ND, weight_D = random_tensor(4, 6, dtype=torch.float64), random_tensor(6, seed=1, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x, w: RMSNormOnCPU.apply(x, w, torch.tensor(1e-2)), (x_ND.requires_grad_(), weight_D.requires_grad_())
    )


def test_half_precision_keeps_its_dtype_and_its_statistics_in_fp32():
    norm = RMSNorm(512, eps=1e-6).bfloat16()
    x_ND = (random_tensor(3, 512) * 300).bfloat16()
    y_ND = norm(x_ND)
    assert y_ND.dtype is torch.bfloat16
    exact_ND = x_ND.double() / (x_ND.double().square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(y_ND.double(), exact_ND, atol=0, rtol=2**-8)


def test_a_row_of_zeros_stays_zero():
    x_ND = torch.zeros(2, 8, requires_grad=True)
    y_ND = RMSNorm(8, eps=1e-6)(x_ND)
    y_ND.sum().backward()
    assert (y_ND == 0).all() and x_ND.grad.isfinite().all()
