"""What the order of a large corpus costs: to open it, to draw an epoch's order, and each rank that reads by it.

usage: python benchmarks/document_order.py [--documents 1000000 10000000 100000000] [--folder DIR]

The corpus has documents of 400 ids, all zero, in a file without content, so the disk holds only the index (20 bytes a
document) and the order (about 17). Every line is a process of its own: `memory` keeps all in memory, `writer` is the first rank,
which writes the order, `reader` every other. Seconds are of processor time; memory is the largest resident size less that
before; a row is of 4,096 ids, read at random places.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mai1.data.shards import HEADER, MAGIC, Shard
from mai1.data.stream import TokenStream

DOCUMENT, ROW, ROWS = 400, 4096, 1000
BLOCK = 2**20
WAYS = ("memory", "writer", "reader")


def write_shard(stem: Path, num_documents: int) -> None:
    """An index of so many documents, and a file of ids that takes no room."""
    with open(f"{stem}.idx", "wb") as file:
        file.write(HEADER.pack(MAGIC, 1, 8, num_documents, num_documents + 1))
        starts = range(0, num_documents, BLOCK)
        for start in starts:
            file.write(np.full(min(BLOCK, num_documents - start), DOCUMENT, "<i4").tobytes())
        for start in starts:
            file.write((np.arange(start, min(start + BLOCK, num_documents), dtype="<i8") * DOCUMENT * 2).tobytes())
        for start in starts:
            file.write(np.arange(start, min(start + BLOCK, num_documents), dtype="<i8").tobytes())
        file.write(np.array([num_documents], "<i8").tobytes())
    with open(f"{stem}.bin", "wb") as file:
        file.truncate(num_documents * DOCUMENT * 2)
    digests = {"bin": "0" * 64, "idx": "0" * 64}
    counts = {"vocab_size": 256, "documents": num_documents, "tokens": num_documents * DOCUMENT}
    manifest = {"format": "mai1-shard", "version": 1, **counts, "sha256": digests}
    Path(f"{stem}.json").write_text(json.dumps(manifest), encoding="utf-8")


def measure(stem: Path, folder: Path | None) -> dict[str, float]:
    """Of this process."""
    memory, begun = resident_mb(), time.process_time()
    rows = TokenStream([Shard.open(stem)], sequence_length=ROW, seed=1, folder=folder)
    opened = time.process_time()
    rows.read(0)
    drawn = time.process_time()
    for place in np.random.default_rng(0).integers(rows.rows_per_epoch, size=ROWS):
        rows.read(int(place))
    done = time.process_time()
    return {
        "s open": opened - begun,
        "s first row": drawn - opened,
        "us a row": (done - drawn) / ROWS * 1e6,
        "MB": resident_mb() - memory,
    }


def resident_mb() -> float:
    """The largest there has been of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print a line for every corpus and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[10**6, 10**7, 10**8])
    parser.add_argument(
        "--folder", type=Path, help="where the corpora lie meanwhile; the system's folder for such files"
    )
    parser.add_argument("--measure", nargs=2, metavar=("SHARD", "ORDER"), help="one figure, in this process")
    options = parser.parse_args()
    if options.measure:
        stem, order = options.measure
        print(json.dumps(measure(Path(stem), Path(order) if order else None)))
        return
    for num_documents in options.documents:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            stem = Path(folder) / "corpus"
            write_shard(stem, num_documents)
            for way in WAYS:
                order = "" if way == "memory" else str(Path(folder) / "order")
                command = [sys.executable, __file__, "--measure", str(stem), order]
                found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
                figures = "  ".join(f"{value:10,.2f} {key}" for key, value in found.items())
                print(f"{num_documents:12,} documents  {way:7}  {figures}", flush=True)


if __name__ == "__main__":
    main()
