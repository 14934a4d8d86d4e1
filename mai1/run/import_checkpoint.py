"""`mai1 import`: somebody else's mixture-of-experts model as a checkpoint of ours, every tensor checked.

Mixtral, OLMoE, Qwen3-MoE, GLM-4-MoE and DeepSeek-V3 directories of Hugging Face, whatever the layout of their files.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from mai1.checkpoint.import_weights import Imported, import_weights
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.names import tensor_names
from mai1.given_files import read_given
from mai1.model.flops import count_parameters
from mai1.run.compose import compose_config
from mai1.run.help import print_help
from mai1.run.output import sole_writer
from mai1.tokenizer.foreign import FILES, MAX_FILE_BYTES
from mai1.tokenizer.tokenizer import VOCABULARY_FILE, Tokenizer

PROBE_IDS = 16


@dataclass(kw_only=True, slots=True)
class ImportConfig:
    checkpoint: str = ""
    """Hugging Face directory of a Mixtral, OLMoE, Qwen3-MoE, GLM-4-MoE or DeepSeek-V3."""
    output: str = ""
    """Directory of the checkpoint to write; it must not exist."""
    probe: bool = True
    """Load what was written and compute the logits of a few tokens; takes 4 bytes of memory a parameter."""

    def __post_init__(self) -> None:
        for key in ("checkpoint", "output"):
            if not getattr(self, key):
                raise ValueError(f"{key}='' must name a directory: mai1 import checkpoint=HF_DIR output=DIR")


def main(arguments: list[str]) -> None:
    """Import as configured; a summary goes to standard output."""
    if "--help" in arguments:
        print_help("import", ImportConfig, __doc__)
        return
    config = compose_config("import", ImportConfig, arguments)
    with sole_writer(Path(config.output), key="output"):
        for line in import_checkpoint(config):
            print(line)


def import_checkpoint(config: ImportConfig) -> list[str]:
    """Import and say what was."""
    source, output = Path(config.checkpoint), Path(config.output)
    if not source.is_dir():
        raise ValueError(f"checkpoint={source} must be a directory: check the path")
    files, said = _tokenizer_files(source)
    with tqdm(desc=f"importing {source.name}", unit=" tensors", delay=2.0, leave=False, file=sys.stderr) as bar:
        imported = import_weights(source, output, files=files, on_tensor=bar.update)
    return [*_summary(output, imported), *said, *(_probe(output, imported) if config.probe else [])]


def _tokenizer_files(source: Path) -> tuple[dict[str, bytes], list[str]]:
    """The tokenizer's files, unchanged, and what is known of it."""
    try:
        tokenizer = Tokenizer.load(source)
    except ValueError as error:
        if any((source / name).is_file() for name in FILES if name.startswith("tokenizer")):
            raise
        return {}, [f"  tokenizer      none ({error})"]
    if not tokenizer.is_foreign:
        own = [source / name for name in (*FILES, VOCABULARY_FILE) if (source / name).is_file()]
        return {path.name: read_given(path, max_bytes=MAX_FILE_BYTES) for path in own}, []
    template = "a chat template" if tokenizer.model.template is not None else "no chat template"
    ends = ", ".join(tokenizer.vocabulary.name_of(token_id) for token_id in tokenizer.stop_ids)
    return tokenizer.model.files, [f"  tokenizer      {tokenizer.num_text_ids:,} ids, {template}, ends with {ends}"]


def _summary(output: Path, imported: Imported) -> list[str]:
    counts, model = count_parameters(imported.config), imported.config
    types = ", ".join(f"{count:,} {kind}" for kind, count in imported.dtypes.items())
    rows = {
        "architecture": imported.family.value,
        "parameters": f"{counts.total:,} in all, {counts.active:,} active",
        "of types": types,
        "experts": f"{model.moe.num_experts} in each of {len(model.moe_layers)} layers, {model.moe.top_k} a token",
        "tensors": f"{len(tensor_names(model)):,}, {imported.stacked:,} of them cut out of stacks",
    }
    rows |= {f"note {number}": note for number, note in enumerate(imported.notes, start=1)}
    return [str(output), *(f"  {key:<15}{value}" for key, value in rows.items())]


def _probe(output: Path, imported: Imported) -> list[str]:
    """The logits of a few tokens, where the model fits the memory."""
    need = 4 * count_parameters(imported.config).total
    if need > 0.8 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        return [f"  probe          left out: {need / 2**30:.0f} GiB of fp32 weights do not fit this machine"]
    model = load_model(output)
    ids_BT = torch.arange(min(PROBE_IDS, imported.config.vocab_size, imported.config.max_positions))[None]
    with torch.no_grad():
        logits_BTV = model(ids_BT).logits_BTV
    if not torch.isfinite(logits_BTV).all():
        raise ValueError(f"{output} gives logits that are no numbers: its weights are not what config.json says")
    return [f"  probe          logits of {ids_BT.shape[1]} tokens are finite, spread {logits_BTV.std():.2f}"]
