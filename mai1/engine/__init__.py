"""The engine room: the only one that knows DeepSpeed."""

import os

import torch

# DeepSpeed looks for an accelerator when it is imported, and warns when it finds none: tell it.
os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
