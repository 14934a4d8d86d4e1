"""megatron-core's half of `benchmarks/interchange.py`, in an environment of its own: what its dataset reads from shards.

usage: PYTHON benchmarks/megatron_side.py STEM ..., which prints a line of JSON for each: version, lengths, SHA-256 of the ids
"""

import hashlib
import json
import sys
from importlib.metadata import version

import numpy as np
from megatron.core.datasets.indexed_dataset import IndexedDataset

for stem in sys.argv[1:]:
    dataset = IndexedDataset(stem)
    marks = dataset.document_indices
    documents = [
        np.concatenate([dataset[number] for number in range(first, last)])
        for first, last in zip(marks[:-1], marks[1:], strict=True)
    ]
    digest = hashlib.sha256(np.concatenate(documents).astype("<i8").tobytes()).hexdigest()
    facts = {"version": version("megatron-core"), "lengths": list(map(len, documents)), "sha256": digest}
    print(json.dumps(facts), flush=True)
