"""Somebody else's model and tokenizer through the commands, and back into transformers."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.inference import load_model
from mai1.tokenizer.chat import Learn, encode_chat
from mai1.tokenizer.tokenizer import Tokenizer
from tests.support.commands import run_command
from tests.support.foreign import real_texts, write_named

transformers = pytest.importorskip("transformers")

RUN = [
    "data.sequence_length=224",
    "batch.sequences_per_step=4",
    "batch.sequences_per_microbatch=2",
    "train.steps=4",
    "train.log_every=2",
    "train.heldout_every=2",
    "checkpoint.every_steps=2",
    "samples.count=2",
    "samples.questions=2",
    "sampling.max_new_tokens=4",
    "balance.method=none",
]
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
    "tie_word_embeddings": False,
}
STOCK = {
    "qwen3": ("qwen3_moe", {"num_experts": 4, "moe_intermediate_size": 24, "norm_topk_prob": True}),
    "mistral": ("mixtral", {"num_local_experts": 4, "sliding_window": None}),
    "glm": (
        "glm4_moe",
        {"n_routed_experts": 4, "n_shared_experts": 1, "moe_intermediate_size": 24, "first_k_dense_replace": 1}
        | {
            "use_qk_norm": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0},
        },
    ),
}
TOOL = {"type": "function", "function": {"name": "look_up", "description": "Finds a topic", "parameters": {}}}


def write_stock(folder: Path, name: str) -> Path:
    """A random model of a family with its tokenizer, as transformers writes it; more rows than the tokenizer has ids."""
    tokenizer = Tokenizer.load(write_named(folder, name))
    model_type, options = STOCK[name]
    ids = {"bos_token_id": tokenizer.begin_id, "eos_token_id": tokenizer.end_of_text_id, "pad_token_id": None}
    config = transformers.AutoConfig.for_model(model_type, vocab_size=1024, **(SIZES | options | ids))
    torch.manual_seed(3)
    kept = (folder / "generation_config.json").read_bytes() if (folder / "generation_config.json").is_file() else None
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    if kept is not None:
        (folder / "generation_config.json").write_bytes(kept)
    return folder


def write_talks(folder: Path, *, name: str) -> Path:
    """Questions about real topics; with Qwen's template some that use a tool."""
    talks = []
    for number, text in enumerate(real_texts()[:16]):
        said = [{"role": "user", "content": f"Topic {number}?"}, {"role": "assistant", "content": text[:90].strip()}]
        talk: dict = {"messages": said, "source": "help"}
        if name == "qwen3" and number % 4 == 0:
            call = {"function": {"name": "look_up", "arguments": {"number": number}}}
            said[1:1] = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": "found"}]
            talk |= {"tools": [TOOL], "source": "tools"}
        talks.append(talk)
    path = folder / "talks.jsonl"
    path.write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    return path


@pytest.fixture(scope="module", params=list(STOCK))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def stock(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stock(tmp_path_factory.mktemp(name) / "stock", name)


@pytest.fixture
def arguments(name: str, stock: Path, tmp_path: Path) -> list[str]:
    talks = write_talks(tmp_path, name=name)
    paths = [
        f"data.train={talks}",
        f"data.heldout={talks}",
        f"run.directory={tmp_path}",
        f"checkpoint.init_from={stock}",
    ]
    return [*RUN, *paths, "data.learn=last", "run.name=tuned"]


def test_a_stock_model_is_tuned_with_its_own_tokenizer_and_loads_in_transformers_again(
    name: str, stock: Path, arguments: list[str], tmp_path: Path
):
    outcome = run_command("sft", *arguments)
    assert outcome.code == 0, outcome.err
    tuned = (tmp_path / "tuned" / "checkpoints" / "latest").resolve()
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (tuned / file).read_bytes() == (stock / file).read_bytes(), file
    ours, theirs = load_model(tuned), transformers.AutoModelForCausalLM.from_pretrained(tuned, dtype=torch.float32)
    tokenizer, hf_tokenizer = Tokenizer.load(tuned), transformers.AutoTokenizer.from_pretrained(tuned)
    text = real_texts()[3]
    assert tokenizer.encode(text) == hf_tokenizer.encode(text, add_special_tokens=False)
    talk = json.loads((tmp_path / "talks.jsonl").read_text().splitlines()[0])
    templated = hf_tokenizer.apply_chat_template(talk["messages"], tools=talk.get("tools"), return_dict=False)
    chat = encode_chat(tokenizer, talk["messages"], tools=talk.get("tools"), learn=Learn.last)
    assert chat.ids[: len(templated)] == templated and len(chat.ids) <= len(templated) + 1
    with torch.no_grad():
        ids_BT = torch.tensor([tokenizer.encode(text)[:200]])
        logits_BTV = ours(ids_BT).logits_BTV
        assert (logits_BTV - theirs(ids_BT).logits).abs().max() < 1e-4
        before = transformers.AutoModelForCausalLM.from_pretrained(stock, dtype=torch.float32)
        assert (logits_BTV - before(ids_BT).logits).abs().max() > 1e-4  # it has learned something


def test_figures_of_the_data_are_kept_and_said_by_source(name: str, arguments: list[str], tmp_path: Path):
    outcome = run_command("sft", *arguments, "train.steps=1")
    figures = json.loads((tmp_path / "tuned" / "tuning_data.json").read_text())
    assert figures["learn"] == "last" and figures["train"]["all"]["conversations"] == 16
    assert set(figures["train"]["sources"]) == ({"help", "tools"} if name == "qwen3" else {"help"})
    for source in figures["train"]["sources"].values():
        assert 0 < source["supervised_share"] < 1 and source["conversations"] == sum(source["answers"].values())
    assert "of 16 conversations" in outcome.err and "of them learned" in outcome.err


def test_a_tuned_model_answers_with_its_template(name: str, stock: Path):
    outcome = run_command(
        "generate", f"checkpoint={stock}", "prompt=Topic 1?", "chat=true", "sampling.max_new_tokens=3"
    )
    assert outcome.code == 0 and "1 to generate" in outcome.err


def test_a_foreign_models_experts_are_inspected(name: str, stock: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    text = "text=names 北京 in"  # of which single bytes have no text of their own
    outcome = run_command("inspect", f"checkpoint={stock}", text, "sequence_length=64", "data=", f"output={page}")
    assert outcome.code == 0, outcome.err
    assert ("&lt;0xE5&gt;" if name == "mistral" else "\u00e5") in page.read_text()


def test_another_template_may_be_named_and_goes_with_the_model(name: str, arguments: list[str], tmp_path: Path):
    if name != "qwen3":
        pytest.skip("the same for every family")
    from tests.support.foreign import CHATML_TAGGED

    template = tmp_path / "mine.jinja"
    template.write_text(CHATML_TAGGED)
    talks = tmp_path / "plain.jsonl"
    talks.write_text('{"prompt": "Hi", "completion": "Ho"}\n' * 8)
    data = [f"data.train={talks}", "data.heldout=", f"data.chat_template={template}", "data.learn=all", "train.steps=1"]
    outcome = run_command("sft", *arguments, *data)
    assert outcome.code == 0, outcome.err
    tuned = (tmp_path / "tuned" / "checkpoints" / "latest").resolve()
    assert (tuned / "chat_template.jinja").read_text() == CHATML_TAGGED
    figures = json.loads((tmp_path / "tuned" / "tuning_data.json").read_text())
    assert figures["train"]["all"]["duplicates"] == 7


def test_a_tokenizer_of_more_ids_than_the_model_has_rows_is_refused(name: str, stock: Path, arguments, tmp_path):
    copy = Path(shutil.copytree(stock, tmp_path / "copy"))
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    settings["additional_special_tokens"] = [f"<|more_{number}|>" for number in range(600)]
    (copy / "tokenizer_config.json").write_text(json.dumps(settings))
    outcome = run_command("sft", *arguments, f"checkpoint.init_from={copy}")
    assert outcome.code == 2 and "ids for a model of 1024" in outcome.err
    for command in (
        ["generate", "prompt=a"],
        ["inspect", "text=a", "sequence_length=64"],
        ["export", f"output={tmp_path / 'release'}"],
    ):
        outcome = run_command(*command, f"checkpoint={copy}") if name == "glm" else outcome
        assert outcome.code == 2 and "ids for a model of 1024" in outcome.err


def test_a_model_is_imported_proven_and_tuned_to_the_same_end(
    name: str, stock: Path, arguments: list[str], tmp_path: Path
):
    done = run_command("import", f"checkpoint={stock}", f"output={tmp_path / 'imported'}")
    assert done.code == 0, done.err
    for said in ("parameters", "experts", "a chat template, ends with", "logits of 16 tokens are finite"):
        assert said in done.out, done.out
    imported = tmp_path / "imported"
    assert run_command("checkpoint", "verify", imported).code == 0
    assert run_command("checkpoint", "show", imported).code == 0
    hf = transformers.AutoTokenizer.from_pretrained(imported)
    assert hf.get_vocab() == transformers.AutoTokenizer.from_pretrained(stock).get_vocab()
    for source, run in ((stock, "straight"), (imported, "by_import")):
        done = run_command("sft", *arguments, f"checkpoint.init_from={source}", f"run.name={run}", "train.steps=2")
        assert done.code == 0, done.err
    ends = [(tmp_path / run / "checkpoints" / "latest").resolve() for run in ("straight", "by_import")]
    straight, by_import = (load_model(end).state_dict() for end in ends)
    assert all(torch.equal(straight[key], by_import[key]) for key in straight)


METHODS = {"qwen3": "dpo", "mistral": "orpo", "glm": "kto"}
LORA = ["lora.rank=4", "lora.targets=[attention,experts,dense]", "optim.learning_rate=1e-2"]


def write_pairs(folder: Path) -> Path:
    """Answers about real topics, of which the better one goes on with the text; with Qwen's template the worse one reasons."""
    lines = []
    for number, text in enumerate(real_texts()[:12]):
        told = {"prompt": f"Topic {number}?", "chosen": text[:60].strip(), "rejected": f"No idea of {number}."}
        lines.append(json.dumps(told | {"source": "help"}))
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def aligned(name: str, stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stock model, imported and aligned with adapters: the checkpoint."""
    folder = tmp_path_factory.mktemp(f"{name}-aligned")
    done = run_command("import", f"checkpoint={stock}", f"output={folder / 'imported'}", "probe=false")
    assert done.code == 0, done.err
    pairs = write_pairs(folder)
    done = run_command(
        "align", *RUN, *LORA, f"preference.method={METHODS[name]}", f"data.train={pairs}", f"data.heldout={pairs}",
        f"checkpoint.init_from={folder / 'imported'}", f"run.directory={folder}", "run.name=aligned", "train.steps=2",
        "router.probe_tokens=128",
    )  # fmt: skip
    assert done.code == 0, done.err
    return (folder / "aligned" / "checkpoints" / "latest").resolve()


def test_a_stock_model_is_imported_aligned_and_loads_in_transformers_with_its_tokenizer(
    name: str, stock: Path, aligned: Path
):
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (aligned / file).read_bytes() == (stock / file).read_bytes(), file
    ours, theirs = load_model(aligned), transformers.AutoModelForCausalLM.from_pretrained(aligned, dtype=torch.float32)
    hf_tokenizer = transformers.AutoTokenizer.from_pretrained(aligned)
    talk = [{"role": "user", "content": "Topic 1?"}, {"role": "assistant", "content": "Names."}]
    ids = hf_tokenizer.apply_chat_template(talk, return_dict=False)
    assert encode_chat(Tokenizer.load(aligned), talk, learn=Learn.last).ids[: len(ids)] == ids
    before = transformers.AutoModelForCausalLM.from_pretrained(stock, dtype=torch.float32)
    with torch.no_grad():
        ids_BT = torch.tensor([ids])
        logits_BTV = ours(ids_BT).logits_BTV
        assert (logits_BTV - theirs(ids_BT).logits).abs().max() < 1e-4
        assert (logits_BTV - before(ids_BT).logits).abs().max() > 1e-3  # it has learned something


def test_a_merged_foreign_model_is_proven_against_transformers_and_what_it_began_with(name: str, aligned: Path):
    done = run_command("checkpoint", "prove", aligned)
    assert done.code == 0, done.err
    assert "token ids are identical" in done.out and "with their adapters, within" in done.out
    proof = json.loads((aligned.parents[1] / "parity.json").read_text())
    assert proof["ids_identical"] and proof["routing_agreement"] == 1.0 and proof["max_logit_difference"] < 1e-4
    assert proof["adapters"]["adapted"] > 10 and proof["adapters"]["unchanged"] > 5
    assert proof["adapters"]["max_weight_difference"] < 1e-6 and 0 < proof["adapters"]["max_logit_difference"] < 1e-4


def test_a_damaged_merged_model_is_caught(name: str, aligned: Path, tmp_path: Path):
    if name != "qwen3":
        pytest.skip("the same for every family")
    copy = Path(shutil.copytree(aligned, tmp_path / "copy"))
    weights = next(copy.glob("model-*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    done = run_command("checkpoint", "prove", copy)
    assert done.code == 2 and "has another SHA-256" in done.err, done.err


def test_a_base_that_is_gone_is_said_and_another_one_is_refused(name: str, aligned: Path, stock: Path, tmp_path: Path):
    if name != "glm":
        pytest.skip("the same for every family")
    copy = Path(shutil.copytree(aligned, tmp_path / "copy"))
    done = run_command("checkpoint", "prove", copy, f"base={stock}")
    assert done.code == 2 and "is not the model whose adapters" in done.err, done.err
    base = aligned.parents[2] / "imported"
    base.rename(tmp_path / "moved")
    try:
        done = run_command("checkpoint", "prove", copy)
        assert done.code == 0 and "is gone: give base=DIR" in done.out, done.err
        assert "with their adapters" in run_command("checkpoint", "prove", copy, f"base={tmp_path / 'moved'}").out
    finally:
        (tmp_path / "moved").rename(base)
    done = run_command("checkpoint", "prove", base, f"base={stock}")
    assert done.code == 2 and "has no adapters to compare" in done.err, done.err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "checkpoint='' must name a directory"),
        (["checkpoint=/nowhere", "output=x"], "checkpoint=/nowhere must be a directory"),
    ],
)
def test_an_import_of_nothing_is_refused(given: list[str], message: str):
    done = run_command("import", *given)
    assert done.code == 2 and message in done.err


def test_an_import_never_replaces_anything(stock: Path, tmp_path: Path):
    done = run_command("import", f"checkpoint={stock}", f"output={tmp_path}")
    assert done.code == 2 and "exists: choose another directory" in done.err
