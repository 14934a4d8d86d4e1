"""Proof that a checkpoint is the stock architecture it says: the same text through our model and through transformers.

The only room that imports transformers.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from mai1.checkpoint.inference import load_model, read_model_config
from mai1.checkpoint.prove_merged import load_adapted, prove_merged
from mai1.export.agreement import agreement_of
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.chat import CHAT_TEMPLATE, encode_chat
from mai1.tokenizer.tokenizer import Tokenizer

MAX_LOGIT_DIFFERENCE = 1e-4
"""Largest difference in fp32 that counts as agreement."""

ROW_TOKENS, MAX_ROWS = 256, 4
"""At most so much of the text is read."""

DOCUMENTATION = torch.nn.Module.__doc__ + torch.nn.functional.cross_entropy.__doc__
"""Real English and code that is always at hand."""

CODE_KEYS = (
    *("auto_map", "trust_remote_code", "custom_generate", "custom_pipelines", "chat_template", "_target_"),
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
    *("experts_implementation", "_experts_implementation", "_experts_implementation_internal"),
    *("use_kernels", "kernel_config", "quantization_config", "num_labels"),
)
"""Keys of a checkpoint's JSON files by which releases of transformers load classes, kernels or templates, or make a list of
any length."""
ADAPTER_FILE = "adapter_config.json"

CHAT = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What does `print` do? It says <|assistant|> here."},
    {"role": "assistant", "content": "It prints values to a stream."},
]


def prove_parity(directory: Path, *, text: str = "") -> dict:
    """Compare logits, chosen experts, token ids and the chat template; ValueError when any disagrees.

    `text` is what both read; by default this library's own documentation of nn.Module, which is real English and code.
    """
    text = text or DOCUMENTATION
    read_model_config(directory)  # before transformers does, which believes every size
    tokenizer = Tokenizer.load(directory)
    refuse_foreign_code(directory, is_own_template=not tokenizer.is_foreign)
    with _as_mistakes(directory):
        hf_tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    _compare("token ids", tokenizer.encode(text), hf_tokenizer.encode(text, add_special_tokens=False), directory)
    if (
        not tokenizer.is_foreign
    ):  # another template is rendered in a process that can do nothing else, and not by transformers
        _compare_chat(tokenizer, hf_tokenizer, directory)
    ours, theirs = load_model(directory), _load_stock(directory, torch.float32)
    rows = rows_of(tokenizer, text, max_positions=ours.config.max_positions)
    found = agreement_of(ours, theirs, rows)
    if not found.max_logit_difference <= MAX_LOGIT_DIFFERENCE:
        raise ValueError(
            f"{directory}: logits differ from transformers' by {found.max_logit_difference:.2e}, more than "
            f"{MAX_LOGIT_DIFFERENCE}: the checkpoint is not what its config.json says"
        )
    return {
        "architecture": type(theirs).__name__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "dtype": "float32",
        "tokens": found.num_tokens,
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        **found.figures(),
        "ids_identical": True,
        **({} if tokenizer.is_foreign else {"chat_identical": True}),
    }


def prove_release(directory: Path, *, source: Path, dtype: torch.dtype, text: str = "") -> dict:
    """`prove_parity` of a release, and how far transformers in the released type is from `source` in float32.

    The first compares implementations, the second also what rounding to the type changed. ValueError as there.
    """
    proof = prove_parity(directory, text=text)
    ours, theirs = load_model(source), _load_stock(directory, dtype)
    rows = rows_of(Tokenizer.load(directory), text or DOCUMENTATION, max_positions=ours.config.max_positions)
    as_released = {"dtype": str(dtype).removeprefix("torch."), **agreement_of(ours, theirs, rows).figures()}
    return proof | {"as_released": as_released}


def prove_adapters(directory: Path, base: Path, *, text: str = "") -> dict:
    """Compare a checkpoint with adapters with what it began with: each merged weight, and the logits of both ways to compute.

    Logits are compared in fp32. Where the weights are of a smaller type, merging rounded them once, so that the logits'
    difference is stated and not judged. ValueError where anything is not the base's or the base's and its adapter's.
    """
    merge = prove_merged(directory, base)
    adapted, merged = load_adapted(directory, base)
    rows = rows_of(Tokenizer.load(directory), text or DOCUMENTATION, max_positions=merged.config.max_positions)
    difference = max(_logit_difference(adapted, merged, row) for row in rows)
    if not merge.is_rounded and not difference <= MAX_LOGIT_DIFFERENCE:
        raise ValueError(
            f"{directory}: logits of the merged model differ by {difference:.2e} from those of {base} with its adapters, more "
            f"than {MAX_LOGIT_DIFFERENCE}: use another checkpoint"
        )
    return {
        "adapted": len(merge.adapted),
        "unchanged": len(merge.unchanged),
        "trained_whole": len(merge.trained_whole),
        "max_weight_difference": merge.max_difference,
        "max_logit_difference": difference,
    }


def rows_of(tokenizer: Tokenizer, text: str, *, max_positions: int) -> list[list[int]]:
    """The beginning of a text as a few rows, each as a text of training begins."""
    length = min(ROW_TOKENS, max_positions) - len(tokenizer.begin_ids)
    ids = tokenizer.encode(text)[: MAX_ROWS * length]
    return [[*tokenizer.begin_ids, *ids[start : start + length]] for start in range(0, len(ids), length)]


@torch.no_grad()
def _logit_difference(one: MoETransformer, other: MoETransformer, row: list[int]) -> float:
    ids_BT = torch.tensor([row])
    return float((one(ids_BT).logits_BTV - other(ids_BT).logits_BTV).abs().max())


def _compare_chat(tokenizer: Tokenizer, hf_tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    plain_chat = [message | {"content": message["content"].replace("<|assistant|>", "that")} for message in CHAT]
    rendered = hf_tokenizer.apply_chat_template(plain_chat, return_dict=True, return_assistant_tokens_mask=True)
    chat = encode_chat(tokenizer, plain_chat)
    _compare("chat ids", chat.ids, list(rendered["input_ids"]), directory)
    _compare("chat loss mask", chat.loss_mask, list(rendered["assistant_masks"]), directory)


def refuse_foreign_code(directory: Path, *, is_own_template: bool = True) -> None:
    """ValueError for files that would make transformers run, fetch or render what is not ours.

    Transformers renders templates in a sandbox without a limit on time, and looks up kernels by names in config.json. With
    `is_own_template=False` there may be any template, because none is rendered.
    """
    template = directory / "chat_template.jinja"
    is_known = template.is_file() and template.read_bytes() == CHAT_TEMPLATE.encode()
    if is_own_template and not is_known:
        raise ValueError(f"{template} must be the template that mai1 writes, which alone is rendered: write it again")
    for path in sorted(directory.glob("*.json")):
        if path.name == ADAPTER_FILE:
            raise ValueError(f"{path} names another model, which transformers would load instead: remove it")
        for key in _keys_of(path):
            if key in CODE_KEYS and (is_own_template or key != "chat_template"):
                raise ValueError(f"{path}: {key} names code, a template or a size, which mai1 never follows: remove it")


def _keys_of(path: Path) -> set[str]:
    try:
        waiting, keys = [json.loads(path.read_bytes())], set()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({error}): use another checkpoint") from error
    while waiting:
        value = waiting.pop()
        keys |= value.keys() if isinstance(value, dict) else set()
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return keys


def _load_stock(directory: Path, dtype: torch.dtype) -> PreTrainedModel:
    """transformers' own model, which uses every tensor but those of multi-token prediction; ValueError for any other."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # the report is read here
    with _as_mistakes(directory):
        model, report = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    first, count = model.config.num_hidden_layers, getattr(model.config, "num_mtp_layers", 0)
    further = tuple(f"model.layers.{first + i}." for i in range(count))
    if strange := [key for key in report["unexpected_keys"] if not key.startswith(further)]:
        raise ValueError(
            f"{directory}: transformers has no place for {sorted(strange)[0]}: its weights do not fit config.json"
        )
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"{directory}: transformers misses {missing[0]}: its weights do not fit config.json")
    return model.eval()


@contextmanager
def _as_mistakes(directory: Path) -> Iterator[None]:
    """Whatever transformers raises over somebody's files is a ValueError: its own checks know every kind of exception."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        raise ValueError(f"{directory}: transformers cannot load it ({type(error).__name__}: {error})") from error


def _compare(what: str, ours: list[int], theirs: list[int], directory: Path) -> None:
    if ours == theirs:
        return
    place = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    raise ValueError(
        f"{directory}: {what} differ from transformers' at {place}: {ours[place : place + 4]} and {theirs[place : place + 4]}"
    )
