"""How fast and how well text is filtered, deduplicated and tokenized, beside datatrove on the same text and machine.

usage: python benchmarks/prepare.py --text DIR --datatrove PYTHON [--megabytes 100] [--rounds 1]
           [--only filters minhash tokens phases] [--scratch DIR] [--json FILE]

DIR holds HTML pages, such as the documentation packages of a Linux distribution; English text is taken of so many that there are
`--megabytes` of it. PYTHON is the interpreter of an environment with datatrove. Every part of either side is a process of its
own on one core, in turn for each round, and is measured in seconds of CPU time, in which a busy machine matters least.

filters  a chain of filters on documents in memory, by the same thresholds. datatrove's words are spaCy's, ours stand between
         white space, as Gopher's paper has it: so decisions are compared once more with words between white space on both.
minhash  from JSON lines to JSON lines without near copies: 14 bands of 8 hashes over word 5-grams on either side. A tenth of
         the documents are planted copies with 1% or 5% of their words changed. A pair is found when it does not stay whole.
tokens   from stored documents to an indexed dataset with the same byte-level BPE of 32,000 pieces, learned here.
phases   where a whole `mai1 prepare` spends its time.

Ends with 1 where a bar is missed: 10 times datatrove's speed for filters, twice for minhash and no lower recall than chance
explains (two standard errors), 3 times for tokens.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from documentation import nearest, plant_copies, read_texts, write_text
from one_core import RESULT

from mai1.data.shards import Shard
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer

HERE = Path(__file__).resolve().parent
BARS = {"filters": 10.0, "minhash": 2.0, "tokens": 3.0}
PARTS = [*BARS, "phases"]
VOCAB_SIZE = 32_000
CHECKED_DROPS = 400
"""Documents whose nearest neighbour is looked for, of those that were dropped without being planted."""

SMALL = 0.05
"""What takes less of the time is not explained."""

NEAR, RELATED = 0.7, 0.5
"""Overlaps: about where one half is found, and what is a copy by any measure."""


@dataclass(slots=True)
class Bench:
    """The text, the two sides, and what was measured."""

    scratch: Path
    datatrove: Path
    num_rounds: int
    text: Path
    tokenizer: Path
    results: dict = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def run(self, script: str, part: str, text: Path, *extra: str) -> dict:
        """One part of one side in a process of its own; its result, with the folder of its files."""
        python = str(self.datatrove) if script == "datatrove_side.py" else sys.executable
        output = Path(tempfile.mkdtemp(prefix=f"{part}-", dir=self.scratch))
        command = [python, str(HERE / script), part, "--text", str(text), "--output", str(output)]
        environment = os.environ | {"PYTHONPATH": str(HERE.parent), "PYTHONHASHSEED": "0"}
        command += ["--tokenizer", str(self.tokenizer), *extra]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return json.loads((output / RESULT).read_text(encoding="utf-8")) | {"output": output}

    def compare(self, part: str, text: Path) -> tuple[list[dict], list[dict]]:
        """All rounds of both sides; ours goes first in every other round."""
        ours, theirs = [], []
        for number in range(self.num_rounds):
            for side in ((ours, theirs), (theirs, ours))[number % 2]:
                side.append(self.run("mai1_side.py" if side is ours else "datatrove_side.py", part, text))
        return ours, theirs

    def row(self, name: str, part: str, num_bytes: int, clocks: list[list[list[dict]]]) -> None:
        """A line of the table: speeds, their ratio, and whether it reaches the bar; `clocks` of either side by round."""
        seconds, walls = (
            [[sum(c[kind] for c in each) for each in side] for side in clocks] for kind in ("cpu", "wall")
        )
        ratios = [slow / fast for fast, slow in zip(*seconds, strict=True)]
        ratio = statistics.median(ratios)
        speeds = [[num_bytes / each / 1e6 for each in side] for side in seconds]
        is_reached = ratio >= BARS[part]
        self.missed += [] if is_reached else [f"{name}: {ratio:.1f} times datatrove's speed, must be {BARS[part]:g}"]
        self.results[name] = {"mb_per_cpu_s": speeds, "cpu_s": seconds, "wall_s": walls, "ratio": ratio}
        cells = [name, *map(spread, speeds), f"{ratio:.1f} ({min(ratios):.1f}-{max(ratios):.1f})", f"{BARS[part]:g}"]
        print(f"| {' | '.join(cells)} | {'reached' if is_reached else 'MISSED'} |", flush=True)

    def say(self, key: str, value: object, sentence: str) -> None:
        """A finding: into the results and under the table."""
        self.results[key] = value
        print(f"  {sentence}", flush=True)

    def explain(self, part: str, text: Path) -> None:
        """Which functions take our time, by a run under the profiler."""
        result = self.run("mai1_side.py", part, text, "--profile")
        total = sum(each["cpu"] for each in result["seconds"].values())
        for clock, functions in result["facts"]["profile"].items():
            shares = ", ".join(f"{function} {share:.0%}" for function, share in functions.items())
            if result["seconds"][clock]["cpu"] > SMALL * total:
                self.say(f"{part}: bound by ({clock})", functions, f"{clock}, ours is bound by: {shares}")


def main() -> None:
    """Print the tables; ends with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="a folder of HTML pages")
    parser.add_argument("--datatrove", type=Path, required=True, help="the Python of an environment with datatrove")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--scratch", type=Path, help="where files are kept; the text in it is used again")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = given.scratch or Path(temporary)
        text, tokenizer = make_inputs(given.text, scratch, given.megabytes)
        bench = Bench(scratch, given.datatrove, given.rounds, text, tokenizer)
        for part in given.only:
            {"filters": filters, "minhash": minhash, "tokens": tokens, "phases": phases}[part](bench)
            if given.json:
                given.json.write_text(json.dumps(bench.results, indent=1) + "\n", encoding="utf-8")
    raise SystemExit("\n".join(bench.missed) if bench.missed else 0)


def make_inputs(folder: Path, scratch: Path, megabytes: int) -> tuple[Path, Path]:
    """The text and the tokenizer learned from it."""
    text, tokenizer = scratch / f"text-{megabytes}.jsonl", scratch / f"tokenizer-{megabytes}"
    scratch.mkdir(parents=True, exist_ok=True)
    if not tokenizer.is_dir():
        write_text(folder, text, num_bytes=megabytes * 1_000_000)
        config = TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=VOCAB_SIZE)
        train_tokenizer(iter(read_texts(text).values()), config).save(tokenizer)
    return text, tokenizer


def head(title: str, texts: dict[str, str]) -> int:
    """The table's head; returns the bytes of the texts."""
    num_bytes = sum(len(text.encode()) for text in texts.values())
    print(f"\n{title}: {len(texts):,} documents, {num_bytes / 1e6:.1f} MB")
    print("| | ours, MB per CPU second | datatrove | ratio | bar | |\n|---|---|---|---|---|---|")
    return num_bytes


def spread(values: list[float]) -> str:
    """The median and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def filters(bench: Bench) -> None:
    """Quality and repetition rules of Gopher, those of FineWeb, those of C4."""
    texts = read_texts(bench.text)
    num_bytes = head("filters", texts)
    ours, theirs = bench.compare("filters", bench.text)
    for name in ours[0]["seconds"]:
        bench.row(name, "filters", num_bytes, [[[each["seconds"][name]] for each in side] for side in (ours, theirs)])
    for name, kept in ours[0]["facts"].items():
        if name in theirs[0]["facts"]:
            sides = [set(kept), set(theirs[0]["facts"][name])]
            figures = [len(texts) - len(sides[0]), len(texts) - len(sides[1]), len(sides[0] ^ sides[1])]
            sentence = "{}: dropped {:,} here, {:,} by datatrove; {:,} documents decided differently"
            bench.say(f"decisions: {name}", figures, sentence.format(name, *figures))
    bench.explain("filters", bench.text)


def minhash(bench: Bench) -> None:
    """Near copies, from a file to a file."""
    path = bench.scratch / "with_copies.jsonl"
    planted, texts = plant_copies(bench.text, path), read_texts(path)
    num_bytes = head("minhash", texts)
    ours, theirs = bench.compare("minhash", path)
    bench.row(
        "minhash", "minhash", num_bytes, [[[*each["seconds"].values()] for each in side] for side in (ours, theirs)]
    )
    kept = {"ours": set(ours[0]["facts"]["kept"]), "datatrove": set(theirs[0]["facts"]["kept"])}
    for share, pairs in planted.items():
        recalls = {
            side: sum(not staying.issuperset(pair) for pair in pairs) / len(pairs) for side, staying in kept.items()
        }
        error = sum(each * (1 - each) / len(pairs) for each in recalls.values()) ** 0.5
        if recalls["ours"] < recalls["datatrove"] - 2 * error:
            bench.missed.append(
                f"minhash: recall at {share} is {recalls['ours']:.3f}, datatrove's {recalls['datatrove']:.3f}"
            )
        sentence = f"recall at {share} edited words, of {len(pairs)}: {recalls['ours']:.3f}, datatrove {recalls['datatrove']:.3f}"
        bench.say(f"recall {share}", recalls, f"{sentence}, standard error of the difference {error:.3f}")
    involved = set(chain.from_iterable(chain.from_iterable(planted.values())))
    judge_drops(bench, texts, {side: sorted(texts.keys() - staying - involved) for side, staying in kept.items()})
    bench.explain("minhash", path)


def judge_drops(bench: Bench, texts: dict[str, str], dropped: dict[str, list[str]]) -> None:
    """How alike to any other the documents are that were dropped and were neither planted nor the original of a copy."""
    generator = random.Random(0)
    samples = {side: generator.sample(names, min(CHECKED_DROPS, len(names))) for side, names in dropped.items()}
    overlaps = nearest(texts, set(chain.from_iterable(samples.values())))
    for side, names in samples.items():
        found = [overlaps[name] for name in names]
        near, related = (sum(each >= least for each in found) / len(found) for least in (NEAR, RELATED))
        figures = {
            "dropped": len(dropped[side]),
            "checked": len(names),
            "near": near,
            "related": related,
            "least": min(found),
        }
        sentence = f"{side}: dropped {len(dropped[side]):,} that were not planted; of {len(names)} the overlap with the nearest"
        bench.say(
            f"precision {side}", figures, f"{sentence} is {NEAR} or more for {near:.1%}, {RELATED} for {related:.1%}"
        )


def tokens(bench: Bench) -> None:
    """Texts to a shard, by the optional library and by the one that is always there."""
    texts = read_texts(bench.text)
    num_bytes = head("tokens", texts)
    ours, theirs = bench.compare("tokens", bench.text)
    for clock in ours[0]["seconds"]:
        clocks = [[[each["seconds"][clock]] for each in ours], [[each["seconds"]["tokens"]] for each in theirs]]
        bench.row(f"tokens, {clock}", "tokens", num_bytes, clocks)
    mine = Shard.open(ours[0]["output"] / next(iter(ours[0]["seconds"])) / "train" / "text")
    other = Shard.open(theirs[0]["output"] / "shards" / "00000_tokens")
    names = Tokenizer.load(bench.tokenizer).vocabulary.control
    pairs = zip(
        texts.values(), map(mine.document, range(len(texts))), map(other.document, range(len(texts))), strict=True
    )
    differ = [text for text, one, two in pairs if one.tolist() != two.tolist()]
    named = sum(any(name in text for name in names) for text in differ)
    sentence = (
        f"other ids in {len(differ)} of {len(texts)} documents, {named} of which write out the name of a control token"
    )
    bench.say("documents with other ids", [len(differ), named], sentence)
    bench.missed += [f"tokens: {len(differ) - named} documents have other ids"] if len(differ) > named else []
    bench.explain("tokens", bench.text)


def phases(bench: Bench) -> None:
    """The whole of `mai1 prepare`, by preset."""
    num_bytes = sum(len(text.encode()) for text in read_texts(bench.text).values())
    print("\nphases: share of the CPU seconds of a whole run in one process")
    for preset in ("none", "technical", "web"):
        rounds = [bench.run("prepare_phases.py", preset, bench.text) for _ in range(bench.num_rounds)]
        seconds = {
            clock: statistics.median(each["seconds"][clock]["cpu"] for each in rounds) for clock in rounds[0]["seconds"]
        }
        total = seconds.pop("all")
        shares = ", ".join(f"{name} {each / total:.0%}" for name, each in seconds.items() if each > 0.005 * total)
        totals = [num_bytes / each["seconds"]["all"]["cpu"] / 1e6 for each in rounds]
        bench.say(
            f"phases {preset}", {"all": total} | seconds, f"{preset}: {spread(totals)} MB per CPU second; {shares}"
        )


if __name__ == "__main__":
    main()
