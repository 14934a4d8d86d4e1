"""How well the lint for claims of a persona works, and how fast.

usage: python benchmarks/persona.py [--cases tests/persona/cases.jsonl ...] [--real FILE...] [--json FILE]

The labelled cases have seven parts. `development` was looked at while the rules were made. `heldout` was written together
with it, before any rule, by the same hand, and split by chance. `former` and `unseen` were written later, on purpose.
`second` and `third` were written by other hands that had read neither rules nor cases. What was missed of `second` and of
`third.dev`, every other line of the third set, shaped the present rules; the misses of `third.test` were never looked at.
Precision and recall are
of conversations with and without claims, with Wilson's intervals at 95%; by category, recall is of the category itself.
`--real` names files of conversations whose assistants are known to claim nothing: their rate of finds is that of errors.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from mai1.data.instructions import read_records
from mai1.persona.claims import find_persona_claims
from mai1.persona.rates import wilson
from mai1.run.lint import conversations_of

CASES = [Path(f"tests/persona/{name}.jsonl") for name in ("cases", "second", "third")]
PARTS = ("development", "heldout", "former", "unseen", "second", "third.dev", "third.test")
UNTUNED = ("heldout", "unseen", "third.test")
SPEED_BYTES = 4_000_000


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, nargs="+", default=CASES)
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cases = [json.loads(line) for path in given.cases for line in path.read_text(encoding="utf-8").splitlines()]
    for case in cases:
        case["found"] = {claim.category.value for claim in find_persona_claims(case["messages"])}
    figures: dict = {"cases": len(cases)}
    for part in PARTS:
        own = [case for case in cases if case["part"] == part]
        figures[part] = {"all": measured(own)} | by(own, lambda case: case["language"])
    figures["categories"] = categories([case for case in cases if case["part"] in UNTUNED])
    figures["speed_mb_per_s"] = speed([case["messages"] for case in cases])
    for path in given.real:
        talks = [talk for _, record in read_records(path) for talk in readable(record)]
        flagged = sum(bool(find_persona_claims(talk)) for talk in talks)
        figures.setdefault("real", {})[path.name] = rate(flagged, len(talks))
    show(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def readable(record: object) -> list[list[dict]]:
    """The conversations of a record; none of one that is none."""
    try:
        return list(conversations_of(record))
    except ValueError:
        return []


def rate(hits: int, total: int) -> dict:
    """Share, interval and counts."""
    low, high = wilson(hits, total)
    return {"rate": hits / total if total else None, "low": low, "high": high, "hits": hits, "total": total}


def measured(cases: list[dict]) -> dict:
    """Precision and recall of finding that a conversation has a claim."""
    right = sum(bool(case["found"]) and bool(case["expected"]) for case in cases)
    found, wanted = (sum(bool(case[key]) for case in cases) for key in ("found", "expected"))
    return {"precision": rate(right, found), "recall": rate(right, wanted), "negatives": len(cases) - wanted}


def by(cases: list[dict], key: Callable[[dict], str]) -> dict:
    """The same for each group."""
    return {
        name: measured([case for case in cases if key(case) == name]) for name in sorted({key(case) for case in cases})
    }


def categories(cases: Iterable[dict]) -> dict:
    """Of the cases of each category, how many were found as that."""
    cases = list(cases)
    names = sorted({case["expected"] for case in cases} - {""})
    own = {name: [case for case in cases if case["expected"] == name] for name in names}
    return {name: rate(sum(name in case["found"] for case in each), len(each)) for name, each in own.items()}


def speed(talks: list[list[dict]]) -> float:
    """Megabytes of conversations a second of CPU time on one core: the cases over and over."""
    size = sum(len(message["content"].encode()) for talk in talks for message in talk)
    rounds = SPEED_BYTES // size + 1
    before = time.process_time()
    for _ in range(rounds):
        for talk in talks:
            find_persona_claims(talk)
    return rounds * size / 1e6 / (time.process_time() - before)


def show(figures: dict) -> None:
    """The tables for people."""

    def cell(each: dict) -> str:
        if each["rate"] is None:
            return "-"
        return f"{each['rate']:.3f} ({each['low']:.3f} to {each['high']:.3f}, n={each['total']})"

    for part in PARTS:
        print(f"\n{part:<14}{'precision':<36}recall")
        for name, each in figures[part].items():
            print(f"  {name:<12}{cell(each['precision']):<36}{cell(each['recall'])}")
    print("\nrecall of each category, heldout, unseen and third.test together")
    for name, each in figures["categories"].items():
        print(f"  {name:<16}{cell(each)}")
    for name, each in figures.get("real", {}).items():
        print(
            f"{name}: {each['hits']} of {each['total']} conversations flagged, {each['rate']:.4%} (up to {each['high']:.4%})"
        )
    print(f"\nspeed: {figures['speed_mb_per_s']:.1f} MB/s of short conversations in nine languages, on one core")


if __name__ == "__main__":
    main()
