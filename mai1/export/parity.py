"""Proof that a checkpoint is the stock architecture it says: the same text through our model and through transformers.

The only room that imports transformers.
"""

import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from mai1.checkpoint.inference import load_model
from mai1.tokenizer.chat import CHAT_TEMPLATE, encode_chat
from mai1.tokenizer.tokenizer import Tokenizer

MAX_LOGIT_DIFFERENCE = 1e-4
"""Largest difference in fp32 that counts as agreement."""

CODE_KEYS = (
    *("auto_map", "trust_remote_code", "custom_generate", "custom_pipelines", "chat_template", "_target_"),
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
    *("experts_implementation", "_experts_implementation", "_experts_implementation_internal"),
    *("use_kernels", "kernel_config", "quantization_config"),
)
"""Keys of a checkpoint's JSON files by which releases of transformers load classes, kernels or templates."""

CHAT = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What does `print` do? It says <|assistant|> here."},
    {"role": "assistant", "content": "It prints values to a stream."},
]


def prove_parity(directory: Path, *, text: str = "") -> dict:
    """Compare logits, chosen experts, token ids and the chat template; ValueError when any disagrees.

    `text` is what both read; by default this library's own documentation of nn.Module, which is real English and code.
    """
    refuse_foreign_code(directory)
    text = text or torch.nn.Module.__doc__ + torch.nn.functional.cross_entropy.__doc__
    tokenizer = Tokenizer.load(directory)
    hf_tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    _compare("token ids", tokenizer.encode(text), hf_tokenizer.encode(text, add_special_tokens=False), directory)
    plain_chat = [message | {"content": message["content"].replace("<|assistant|>", "that")} for message in CHAT]
    rendered = hf_tokenizer.apply_chat_template(plain_chat, return_dict=True, return_assistant_tokens_mask=True)
    chat = encode_chat(tokenizer, plain_chat)
    _compare("chat ids", chat.ids, list(rendered["input_ids"]), directory)
    _compare("chat loss mask", chat.loss_mask, list(rendered["assistant_masks"]), directory)

    ours, theirs = load_model(directory), _load_stock(directory)
    ids = [tokenizer.end_of_text_id, *tokenizer.encode(text)][: min(256, ours.config.max_positions)]
    tokens_BT = torch.tensor([ids])
    chosen: dict[int, torch.Tensor] = {}
    hooks = _watch_routers(theirs, chosen)
    with torch.no_grad():
        mine = ours(tokens_BT)
        difference = (mine.logits_BTV - theirs(tokens_BT, use_cache=False).logits).abs().max().item()
    for hook in hooks:
        hook.remove()
    agreement = _routing_agreement({i: r.experts_NK for i, r in mine.routings.items()}, chosen)
    if not difference <= MAX_LOGIT_DIFFERENCE:
        raise ValueError(
            f"{directory}: logits differ from transformers' by {difference:.2e}, more than {MAX_LOGIT_DIFFERENCE}: "
            "the checkpoint is not what its config.json says"
        )
    return {
        "architecture": type(theirs).__name__,
        "transformers": transformers.__version__,
        "tokens": len(ids),
        "max_logit_difference": difference,
        "routing_agreement": agreement,
        "ids_identical": True,
        "chat_identical": True,
    }


def refuse_foreign_code(directory: Path) -> None:
    """ValueError for files that would make transformers run, fetch or render what is not ours.

    Transformers renders templates in a sandbox without a limit on time, and looks up kernels by names in config.json.
    """
    template = directory / "chat_template.jinja"
    if not template.is_file() or template.read_bytes() != CHAT_TEMPLATE.encode():
        raise ValueError(f"{template} must be the template that mai1 writes, which alone is rendered: write it again")
    for path in sorted(directory.glob("*.json")):
        for key in _keys_of(path):
            if key in CODE_KEYS:
                raise ValueError(f"{path}: {key} names code or a template, which mai1 never follows: remove it")


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


def _load_stock(directory: Path) -> PreTrainedModel:
    """transformers' own model, which uses every tensor but those of multi-token prediction; ValueError for any other."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # the report is read here
    model, report = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=torch.float32,
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


def _watch_routers(model: torch.nn.Module, chosen: dict[int, torch.Tensor]) -> list:
    """Record the expert ids that each of transformers' routers returns as its last output."""
    hooks = []
    for layer, block in enumerate(model.model.layers):
        gate = getattr(block.mlp, "gate", None)
        if gate is not None and type(gate).__name__.endswith("Router"):
            hooks.append(gate.register_forward_hook(lambda _m, _i, out, layer=layer: chosen.update({layer: out[-1]})))
    return hooks


def _routing_agreement(ours: dict[int, torch.Tensor], theirs: dict[int, torch.Tensor]) -> float:
    """Share of (token, choice) pairs whose expert both chose."""
    if ours.keys() != theirs.keys():
        raise ValueError(f"our MoE layers are {sorted(ours)} but transformers' are {sorted(theirs)}")
    shared, total = 0, 0
    for layer, mine_NK in ours.items():
        shared += int((mine_NK[:, :, None] == theirs[layer].view(len(mine_NK), 1, -1)).sum())
        total += mine_NK.numel()
    return shared / total


def _compare(what: str, ours: list[int], theirs: list[int], directory: Path) -> None:
    if ours == theirs:
        return
    place = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    raise ValueError(
        f"{directory}: {what} differ from transformers' at {place}: {ours[place : place + 4]} and {theirs[place : place + 4]}"
    )
