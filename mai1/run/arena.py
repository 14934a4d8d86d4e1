"""`mai1 arena`: battles between two or more models on prompts, a judge, ratings with intervals, and a page.

Everything is in `output`: answers/MODEL.jsonl, battles.jsonl (a line a judgement, on disk before the next), leaderboard.json
and leaderboard.html. The same command goes on where it was stopped, and takes in models that were added to it.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tqdm import tqdm

from mai1.arena.battles import Battle, JudgementFile, Prompt, schedule, still_open
from mai1.arena.judges import EXACT, ApiConfig, ApiJudge, ExactJudge, Judge, Match, equal_answers
from mai1.arena.leaderboard import write_leaderboard
from mai1.arena.ranking import RankingConfig, Rating, rate
from mai1.arena.strengths import apart, separate_groups
from mai1.arena.terminal import Finished, TerminalJudge
from mai1.arena.web import WebArena
from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.data.instructions import read_conversations
from mai1.generate.sampling import SamplingConfig
from mai1.generate.texts import write_texts
from mai1.run.compose import compose_config
from mai1.run.directory import plain, write_atomically
from mai1.run.help import print_help
from mai1.run.model_tokenizer import load_tokenizer
from mai1.run.output import sole_writer
from mai1.tokenizer.chat import encode_chat


class JudgeKind(Enum):
    """Who decides."""

    exact = "exact"
    """The reference of each prompt."""
    terminal = "terminal"
    web = "web"
    api = "api"


@dataclass(kw_only=True, slots=True)
class WebConfig:
    port: int = 0
    """Port of the page on 127.0.0.1; 0: any that is free."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ValueError(f"web.port={self.port} must be from 0 to 65535: use 0 for any that is free")


@dataclass(kw_only=True, slots=True)
class ArenaConfig:
    checkpoints: dict[str, str] = field(default_factory=dict)
    """Models by name: runs, checkpoints or Hugging Face directories."""
    prompts: str = ""
    """Conversations or questions in any shape that tuning reads; a last message of the assistant is the right answer."""
    max_prompts: int = 0
    """Prompts that are used, the first of the file; 0: all."""
    output: str = "runs/arena"
    """The directory of answers, judgements and the page."""
    judge: JudgeKind = JudgeKind.exact
    """exact: the right answer wins; terminal or web: a person, without names; api: a model."""
    match: Match = Match.number
    """What the exact judge compares: the last number, the last choice (A to H), or the whole text."""
    title: str = "Arena"
    """Heading of the page."""
    seed: int = 0
    """Decides the order of battles and which answer stands left."""
    rows_at_once: int = 16
    """Answers that are written together."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How answers are drawn."""
    api: ApiConfig = field(default_factory=ApiConfig)
    """The judging model."""
    web: WebConfig = field(default_factory=WebConfig)
    """The page on which a person judges."""
    ranking: RankingConfig = field(default_factory=RankingConfig)
    """From judgements to ratings."""

    def __post_init__(self) -> None:
        for name in self.checkpoints:
            if Path(name).name != name or name.startswith(".") or not name.isprintable():
                raise ValueError(f"checkpoints.{name} must be named with letters, digits, - and _: rename it")
        for key, least in (("max_prompts", 0), ("rows_at_once", 1)):
            if getattr(self, key) < least:
                raise ValueError(f"{key}={getattr(self, key)} must be at least {least}")


def main(arguments: list[str]) -> None:
    """Answer, judge, rate; a table goes to standard output."""
    if "--help" in arguments:
        print_help("arena", ArenaConfig, __doc__)
        return
    config = compose_config("arena", ArenaConfig, arguments)
    with sole_writer(Path(config.output), key="output"):
        held = hold_arena(config)
    print(f"{'model':<24}{'rating':>8}  95% interval      battles    won   tied   lost")
    for each in held.ratings:
        interval = f"{each.low:>6.0f} to {each.high:<6.0f}"
        counts = f"{each.battles:>8}{each.wins:>7}{each.ties:>7}{each.losses:>7}"
        print(f"{each.model:<24}{each.rating:>8.0f}  {interval} {counts}")
    if len(held.groups) > 1:
        print(f"note: {apart(held.groups)}", file=sys.stderr)
    if unrated := set(config.checkpoints) - {each.model for each in held.ratings}:
        print(f"note: no battle of {', '.join(sorted(unrated))} has been decided", file=sys.stderr)
    print(f"page: {held.page}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Held:
    """What an arena came to."""

    ratings: list[Rating]
    """The best first."""
    groups: list[list[str]]
    """Models between which battles tell no finite distance; one group where they tell all."""
    page: Path


def hold_arena(config: ArenaConfig) -> Held:
    """Answer, judge what is open, rate and write the page."""
    if len(config.checkpoints) < 2 or not config.prompts:
        raise ValueError(
            "checkpoints and prompts: name two models or more and a file, as in 'checkpoints={a: runs/a, b: runs/b}'"
        )
    output = Path(config.output)
    prompts = read_prompts(Path(config.prompts))[: config.max_prompts or None]
    judge = _open_judge(config, prompts)  # a missing key or reference is said before anything is computed
    _claim(config, prompts, output)
    answers = {name: _answers(config, name, prompts, output) for name in config.checkpoints}
    file = JudgementFile(output / "battles.jsonl")
    battles = schedule(prompts, answers, seed=config.seed)
    if isinstance(judge, ExactJudge):
        _check_verdicts(judge, battles, file)
    battles = still_open(battles, file.judgements)
    for battle in battles:
        if (tie := equal_answers(battle)) is not None:
            file.add(tie)
    _judge(config, judge, still_open(battles, file.judgements), file)
    ratings = rate(file.judgements, config.ranking)
    groups = separate_groups(file.judgements)
    return Held(ratings, groups, write_leaderboard(output, ratings, file.judgements, groups=groups, title=config.title))


def read_prompts(path: Path) -> list[Prompt]:
    """Conversations up to their last answer, which is the reference; ValueError for one without a user's question."""
    prompts = []
    for number, messages in enumerate(read_conversations(path), start=1):
        has_answer = messages[-1]["role"] == "assistant"
        asked = messages[:-1] if has_answer else messages
        if not any(message["role"] == "user" for message in asked):
            raise ValueError(
                f"{path}: conversation {number} asks nothing: it needs a message of the user before an answer"
            )
        prompts.append(Prompt(str(number), asked, messages[-1]["content"] if has_answer else ""))
    return prompts


def _claim(config: ArenaConfig, prompts: list[Prompt], output: Path) -> None:
    """Remember what answers depend on, and refuse to mix them with those of other settings."""
    asked = json.dumps([prompt.messages for prompt in prompts]).encode()
    models = {
        name: str(resolve_checkpoint(Path(path), key=f"checkpoints.{name}"))
        for name, path in config.checkpoints.items()
    }
    facts = {"prompts": hashlib.sha256(asked).hexdigest(), "seed": config.seed, "sampling": plain(config.sampling)}
    path = output / "arena.json"
    if path.is_file():
        try:
            before = json.loads(path.read_bytes())
            others = dict(before.pop("models"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} does not say of what the arena is ({error}): choose another output") from None
        if before != facts or any(others.get(name, directory) != directory for name, directory in models.items()):
            raise ValueError(
                f"output={output} holds an arena of other prompts, models or sampling: choose another directory"
            )
        models = others | models
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(facts | {"models": models}, indent=1))


def _answers(config: ArenaConfig, name: str, prompts: list[Prompt], output: Path) -> dict[str, str]:
    """What a model says to each prompt that it has room for; written once."""
    path = output / "answers" / f"{name}.jsonl"
    if path.is_file():
        return _written_answers(path)
    directory = resolve_checkpoint(Path(config.checkpoints[name]), key=f"checkpoints.{name}")
    tokenizer, model = load_tokenizer(directory, key="checkpoints"), load_model(directory)
    encoded = {p.name: encode_chat(tokenizer, p.messages, add_generation_prompt=True).ids for p in prompts}
    room = model.config.max_positions - config.sampling.max_new_tokens
    fitting = [name for name, ids in encoded.items() if len(ids) <= room]
    if not fitting:
        raise ValueError(
            f"prompts={config.prompts} are all longer than the {room} tokens that checkpoints.{name} has room for"
        )
    with tqdm(total=len(fitting), unit="answer", desc=name, file=sys.stderr, delay=5.0) as bar:
        texts = write_texts(
            model,
            tokenizer,
            [encoded[name] for name in fitting],
            config.sampling,
            rows_at_once=config.rows_at_once,
            progress=bar.update,
        )
    answers = {prompt: text[0].text for prompt, text in zip(fitting, texts, strict=True)}
    path.parent.mkdir(exist_ok=True)
    lines = [json.dumps({"prompt": prompt, "text": text}, ensure_ascii=False) for prompt, text in answers.items()]
    write_atomically(path, "\n".join(lines))
    return answers


def _written_answers(path: Path) -> dict[str, str]:
    """Answers by prompt. Read as bytes: an answer may hold ends of lines that only text knows."""
    try:
        records = [json.loads(line) for line in path.read_bytes().splitlines()]
        return {record["prompt"]: record["text"] for record in records}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} holds no answers ({error}): delete it to have them written again") from None


def _open_judge(config: ArenaConfig, prompts: list[Prompt]) -> Judge | None:
    """The judge that answers a battle at once; the page waits for a person and is opened later."""
    if config.judge is JudgeKind.exact:
        judge = ExactJudge(config.match)
        for prompt in prompts:
            judge.wanted(prompt)
        return judge
    if config.judge is JudgeKind.api:
        return ApiJudge.open(config.api)
    return TerminalJudge(input, print) if config.judge is JudgeKind.terminal else None


def _check_verdicts(judge: ExactJudge, battles: list[Battle], file: JudgementFile) -> None:
    """What was decided by other right answers, or by another `match`, would stand beside what is decided now."""
    kept = {judgement.key: judgement for judgement in file.judgements if judgement.judge.startswith(EXACT)}
    for battle in battles:
        if battle.key in kept and kept[battle.key] != judge(battle):
            raise ValueError(
                f"{file.path} was decided by other right answers or another match: delete it to judge again; the answers stay"
            )


def _judge(config: ArenaConfig, judge: Judge | None, battles: list[Battle], file: JudgementFile) -> None:
    """Judge what is open; a person may stop early."""
    if judge is None:
        arena = WebArena(battles, file.add, port=config.web.port)
        print(
            f"judge {len(battles)} battles at {arena.address}\nCtrl-C stops; what was judged is kept", file=sys.stderr
        )
        try:
            arena.serve()
        except KeyboardInterrupt:
            print("", file=sys.stderr)
        return
    try:
        is_shown = config.judge is not JudgeKind.terminal
        with tqdm(total=len(battles), unit="battle", file=sys.stderr, delay=5.0, disable=not is_shown) as bar:
            for judgement in _judged(config, judge, battles):
                file.add(judgement)
                bar.update()
    except Finished:
        pass


def _judged(config: ArenaConfig, judge: Judge, battles: list[Battle]) -> Iterator:
    """Judgements in the order of the battles; of an API several at once."""
    if config.judge is not JudgeKind.api:
        yield from map(judge, battles)
        return
    with ThreadPoolExecutor(config.api.at_once) as pool:
        step = config.api.at_once  # no more is asked for than can be kept when something fails
        for first in range(0, len(battles), step):
            yield from pool.map(judge, battles[first : first + step])
