"""`mai1 export`: a checkpoint as a release: weights alone, a model card, proof against transformers, GGUF."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from tqdm import tqdm

from mai1.checkpoint import commit
from mai1.checkpoint.inference import read_stored_config, resolve_checkpoint
from mai1.checkpoint.tensor_file import write_json
from mai1.checkpoint.verify import sha256_of
from mai1.export.release import (
    GgufType,
    ReleaseDtype,
    check_place,
    check_release_room,
    parse_size,
    reader_of,
    release_manifest,
    released_config,
    weights_num_bytes,
    write_description,
    write_weights,
)
from mai1.generate.sampling import SamplingConfig
from mai1.model.flops import count_parameters
from mai1.model.transformer import ModelConfig
from mai1.report.model_card import ReleaseFacts
from mai1.run.compose import compose_config
from mai1.run.help import print_help
from mai1.run.model_tokenizer import load_tokenizer
from mai1.run.output import sole_writer
from mai1.run.release_card import facts_of, write_card
from mai1.tokenizer.tokenizer import Tokenizer

MAX_TEXT_BYTES = 1 << 20
"""So much of a text to prove on is read."""


class Format(Enum):
    """What a release holds."""

    huggingface = "huggingface"
    gguf = "gguf"


class FurtherLayers(Enum):
    """What becomes of layers that predict further tokens."""

    keep = "keep"
    drop = "drop"


@dataclass(kw_only=True, slots=True)
class ExportConfig:
    checkpoint: str = "runs/first"
    """Run, checkpoint or Hugging Face directory."""
    output: str = ""
    """The directory to write; it must not exist, or be a release and overwrite=true."""
    overwrite: bool = False
    """Replace a release that is there; anything else is never touched."""
    formats: list[Format] = field(default_factory=lambda: [Format.huggingface])
    """huggingface (safetensors for transformers, vLLM and SGLang) and gguf (for llama.cpp; needs `pip install 'mai1[gguf]'`)."""
    dtype: ReleaseDtype = ReleaseDtype.bf16
    """bf16 | fp32 | fp16: type of the safetensors; the routers' selection bias stays fp32, as transformers keeps it."""
    max_shard_size: str = "5GB"
    """Largest safetensors file, unless one tensor is larger."""
    further_layers: FurtherLayers = FurtherLayers.keep
    """keep | drop: layers for multi-token prediction, with which vLLM and SGLang guess ahead; GGUF files never hold them."""
    gguf_types: list[GgufType] = field(default_factory=lambda: [GgufType.f16])
    """A file for each of f32, f16, bf16 and q8_0 (8 bits and a scale for each 32 weights)."""
    prove: bool = True
    """Compare with transformers on real text, in memory for both models in fp32; a release that disagrees is not written."""
    text: str = ""
    """UTF-8 file whose beginning is read for the proof; empty: documentation of torch, English and code."""
    license: str = ""
    """Licence of the model as the Hugging Face Hub names it, such as apache-2.0; empty: the card says that none is stated."""
    base_model: str = ""
    """Hub name of the model that this one was made of, for the card."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """What generation_config.json makes the default."""

    def __post_init__(self) -> None:
        for key in ("formats", "gguf_types"):
            if not getattr(self, key):
                raise ValueError(f"{key}=[] must not be empty: use {key}=[{'f16' if key[0] == 'g' else 'huggingface'}]")
        for key in ("license", "base_model"):
            if any(not (c.isascii() and (c.isalnum() or c in "-._/")) for c in getattr(self, key)):
                raise ValueError(
                    f"{key}={getattr(self, key)!r} must be a name of the Hub: use letters, digits, - . _ /"
                )


def main(arguments: list[str]) -> None:
    """Write the release and say where it is."""
    if "--help" in arguments:
        print_help("export", ExportConfig, __doc__)
        return
    config = compose_config("export", ExportConfig, arguments)
    if not config.output:
        raise ValueError("output= is missing: give it the directory to write, such as output=releases/first")
    source = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    output = Path(config.output).expanduser()
    check_place(output, source, overwrite=config.overwrite)
    with sole_writer(output, key="output"):
        export(config, source, output)


def export(config: ExportConfig, source: Path, output: Path) -> None:
    """Check everything that can be checked, write into a stage, then rename; nothing is left of what failed."""
    check_place(output, source, overwrite=config.overwrite)
    model, tokenizer = read_stored_config(source), load_tokenizer(source, key="checkpoint")
    _check_memory(config, model)
    text = _text(config.text)
    gguf_file = _gguf() if Format.gguf in config.formats else None
    model = released_config(model, keeps_further_layers=config.further_layers is FurtherLayers.keep)
    if gguf_file is not None:
        gguf_file.check_writable(model, tokenizer)
    sizes = _sizes(config, model, gguf_file)
    check_release_room(output, sum(sizes))
    stage = commit.make_stage(output)
    (stage / "trainer").rmdir()
    try:
        with tqdm(desc="export", total=sum(sizes), unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
            files = _write(config, stage, source, model, tokenizer, text=text, gguf_file=gguf_file, advance=bar.update)
        manifest = release_manifest(source, config.dtype.torch, files)
        commit.publish(stage, output, manifest=manifest)
    except BaseException:
        commit.remove(stage)
        raise
    print(f"{output}: {len(files)} files, {sum(entry['bytes'] for entry in files.values()):,} bytes")


def _write(
    config: ExportConfig,
    stage: Path,
    source: Path,
    model: ModelConfig,
    tokenizer: Tokenizer,
    *,
    text: str,
    gguf_file: ModuleType | None,
    advance: Callable[[int], object],
) -> dict[str, dict]:
    """All files of the release but its manifest; returns the facts of each."""
    read, files, proof, gguf = reader_of(source), {}, {}, {}
    name = Path(config.output).name
    if Format.huggingface in config.formats:
        max_bytes = parse_size(config.max_shard_size, key="max_shard_size")
        dtype = config.dtype.torch
        files |= write_weights(stage, model, read=read, dtype=dtype, max_bytes=max_bytes, advance=advance)
        files |= write_description(stage, model, tokenizer, dtype=dtype, sampling=_defaults(config.sampling))
        from mai1.export.parity import prove_release, refuse_foreign_code

        refuse_foreign_code(stage, is_own_template=not tokenizer.is_foreign)
        if config.prove:
            proof = prove_release(stage, source=source, dtype=dtype, text=text)
    for kind in config.gguf_types if gguf_file is not None else ():
        path = stage / f"{name}-{kind.value.upper()}.gguf"
        files[path.name] = gguf_file.write_gguf(
            path, config=model, tokenizer=tokenizer, kind=kind, read=read, name=name, licence=config.license,
            advance=advance,
        )  # fmt: skip
        gguf[path.name] = gguf_file.check_gguf(path, config=model, read=read, advance=advance)
    if proof or gguf:
        files["proof.json"] = write_json(stage / "proof.json", {**proof, **({"gguf": gguf} if gguf else {})})
    facts = ReleaseFacts(
        name=name,
        dtype=str(config.dtype.torch).removeprefix("torch.")
        if Format.huggingface in config.formats
        else "see the GGUF files",
        licence=config.license,
        base_model=config.base_model,
        has_weights=Format.huggingface in config.formats,
        proof=proof,
        gguf=gguf,
        **facts_of(source, model),
    )
    for path in write_card(stage, facts, source):
        files[path.name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    return files


def _defaults(sampling: SamplingConfig) -> dict:
    """Generation settings as transformers names them."""
    penalty = {} if sampling.repetition_penalty == 1 else {"repetition_penalty": sampling.repetition_penalty}
    if sampling.temperature == 0:
        return {"do_sample": False, **penalty}
    found = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    min_p = {"min_p": sampling.min_p} if sampling.min_p else {}
    return found | min_p | penalty | {"max_new_tokens": sampling.max_new_tokens}


def _sizes(config: ExportConfig, model: ModelConfig, gguf_file: ModuleType | None) -> list[int]:
    """Bytes of weights to write; of GGUF files also those to read back, for the progress bar's sake."""
    sizes = [weights_num_bytes(model, config.dtype.torch)] if Format.huggingface in config.formats else []
    for kind in config.gguf_types if gguf_file is not None else ():
        sizes += [gguf_file.gguf_num_bytes(model, kind)] * 2
    return sizes


def _check_memory(config: ExportConfig, model: ModelConfig) -> None:
    """Both models in fp32 must fit before anything is written."""
    need = 2 * 4 * count_parameters(model).total
    have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if config.prove and Format.huggingface in config.formats and need > have:
        raise ValueError(
            f"prove=true holds two models in fp32, {need / 2**30:.0f} GiB, but this machine has {have / 2**30:.0f} GiB: "
            "set prove=false and prove a smaller model of the same family"
        )


def _text(path: str) -> str:
    """The beginning of a text file; ValueError where it is none."""
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_TEXT_BYTES).decode("utf-8", errors="ignore")
    except OSError as error:
        raise ValueError(f"text={path} cannot be read ({error.strerror}): name a text file") from None


def _gguf() -> ModuleType:
    if find_spec("gguf") is None:
        raise ValueError("formats=gguf needs the gguf package: pip install 'mai1[gguf]', or leave gguf out")
    from mai1.export import gguf_file

    return gguf_file
