"""Shards between programs: megatron-core reads what `mai1 prepare` wrote, and we read what datatrove wrote; nothing is converted.

usage: python benchmarks/interchange.py --corpus DIR --megatron PYTHON --datatrove PYTHON --text FILE

DIR is a corpus of `mai1 prepare`; each PYTHON is the interpreter of an environment with the package; FILE has JSON lines with
`id` and `text`, such as `benchmarks/prepare.py --scratch` leaves, which datatrove encodes with the corpus's tokenizer. Compared
are the documents, their lengths and all ids. Ends with 1 where anything differs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from documentation import read_texts
from one_core import RESULT

from mai1.data.shards import Shard
from mai1.tokenizer.bulk import BulkEncoder
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.tokenizer.tokenizer import Tokenizer

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Compare in both directions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("corpus", "megatron", "datatrove", "text"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    given = parser.parse_args()
    are_equal = [megatron_reads(given.corpus, given.megatron), we_read(given.corpus, given.datatrove, given.text)]
    raise SystemExit(not all(are_equal))


def megatron_reads(corpus: Path, python: Path) -> bool:
    """Every shard of a corpus, read by megatron-core's IndexedDataset and by us."""
    stems = sorted(path.with_suffix("") for path in corpus.glob("*/*.idx"))
    lines = run(python, HERE / "megatron_side.py", *stems).splitlines()
    are_equal = True
    for stem, line in zip(stems, lines, strict=True):
        theirs, ours = json.loads(line), Shard.open(stem)
        digest = hashlib.sha256(ours.tokens.astype("<i8").tobytes()).hexdigest()
        is_equal = (ours.lengths.tolist(), digest) == (theirs["lengths"], theirs["sha256"])
        size = f"{ours.num_documents:,} documents, {ours.num_tokens:,} ids of {ours.dtype}"
        print(f"megatron-core {theirs['version']} reads {stem.relative_to(corpus)}: {size}, {verdict(is_equal)}")
        are_equal &= is_equal
    return are_equal


def we_read(corpus: Path, python: Path, text: Path) -> bool:
    """A shard that datatrove's MegatronDocumentTokenizer writes of the texts, against the ids we give them."""
    tokenizer, texts = Tokenizer.load(corpus / "tokenizer"), list(read_texts(text).values())
    with tempfile.TemporaryDirectory() as folder:
        write_huggingface_files(tokenizer, Path(folder))
        run(python, HERE / "datatrove_side.py", "tokens", "--text", text, "--output", folder, "--tokenizer", folder)
        release = json.loads((Path(folder) / RESULT).read_bytes())["facts"]["datatrove"]
        theirs = Shard.open(Path(folder) / "shards" / "00000_tokens")
        ours = [np.append(ids, tokenizer.end_of_text_id) for ids in BulkEncoder(tokenizer).encode(texts)]
        is_equal = [*map(len, ours)] == theirs.lengths.tolist() and np.array_equal(np.concatenate(ours), theirs.tokens)
        size = f"{theirs.num_documents:,} documents, {theirs.num_tokens:,} ids of {theirs.dtype}"
        print(f"we read a shard of datatrove {release}, which has no manifest: {size}, {verdict(is_equal)}")
    return is_equal


def run(python: Path, *arguments: object) -> str:
    """What a script prints in another environment."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(
        [str(python), *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{arguments[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def verdict(is_equal: bool) -> str:
    """For a person."""
    return "all equal" if is_equal else "DIFFERENT"


if __name__ == "__main__":
    main()
