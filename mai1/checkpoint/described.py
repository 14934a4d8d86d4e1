"""Before memory is taken for a model: do the files hold as much as config.json describes?"""

from dataclasses import replace
from pathlib import Path

from mai1.model.flops import count_parameters
from mai1.model.transformer import ModelConfig


def check_described(config: ModelConfig, directory: Path) -> None:
    """ValueError for a config.json of more parameters than its safetensors files have bytes.

    Layers for further tokens are left out, because transformers names them also where it has saved none.
    """
    described = count_parameters(replace(config, num_mtp_layers=0)).total
    held = sum(path.stat().st_size for path in directory.glob("*.safetensors") if path.is_file())
    if described > held > 0:
        raise ValueError(
            f"{directory / 'config.json'} describes {described} parameters, more than the {held} bytes of its weights: "
            "restore its files, or use another checkpoint"
        )
