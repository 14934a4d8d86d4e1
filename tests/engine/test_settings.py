import pytest
import torch

from mai1.engine.ds_config import EngineConfig
from mai1.model.transformer import MoETransformer
from tests.support.tiny import tiny_model_config


def test_compiling_on_a_cpu_is_refused_with_the_mend():
    EngineConfig(compile=True).check_device(torch.device("cuda"))
    with pytest.raises(ValueError, match=r"engine\.compile=true needs a GPU.*use engine\.compile=false"):
        EngineConfig(compile=True).check_device(torch.device("cpu"))


def test_compiling_replaces_the_call_of_every_block():
    model = MoETransformer(tiny_model_config())
    assert not any(block._compiled_call_impl for block in model.layers)
    model.compile_blocks()
    assert all(block._compiled_call_impl for block in model.layers)
