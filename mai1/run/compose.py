"""Hydra's corner: YAML and overrides in, one plain checked dataclass out. Nothing below this knows OmegaConf."""

import difflib
import os
from pathlib import Path
from typing import TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

Config = TypeVar("Config")


def config_directory() -> Path:
    """The configs: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def compose_config(command: str, schema: type[Config], overrides: list[str]) -> Config:
    """The command's dataclass from configs/COMMAND.yaml and overrides; ValueError with one line for any mistake."""
    ConfigStore.instance().store(name=f"{command}_schema", node=schema)
    if os.environ.get("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE"):
        raise ValueError(
            "HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE is set: unset it, mai1 instantiates nothing from configs"
        )
    try:
        with initialize_config_dir(str(config_directory()), version_base=None):
            composed = compose(command, overrides)
        _refuse_targets(composed)
        # once more into the schema: a section that was deleted and added again has lost its types
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), composed))
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(_explain(error, command, key_names(schema), overrides)) from None


def _refuse_targets(node: DictConfig) -> None:
    """A config is data: `_target_` is how Hydra would be made to call code."""
    if "_target_" in OmegaConf.to_yaml(node):
        raise ValueError("the configuration holds `_target_`, which mai1 never calls: remove it")


def _explain(error: Exception, command: str, known: list[str], overrides: list[str]) -> str:
    """One line: what was given, what is wrong, what would be right."""
    text = str(getattr(error, "__cause__", None) or error)
    first_line = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    key = _key_in_error(error, first_line, overrides)
    if key and key not in known and "not in" in text:
        near = difflib.get_close_matches(key, known, n=2) or difflib.get_close_matches(
            key.rpartition(".")[2], [k.rpartition(".")[2] for k in known], n=2
        )
        hint = f"did you mean {' or '.join(near)}?" if near else f"`mai1 {command} --help` lists them"
        return f"{key} is no key of `mai1 {command}`: {hint}"
    given = next((o for o in overrides if key and o.lstrip("+~").startswith(f"{key}=")), "")
    return f"{given or key or 'configuration'}: {first_line.strip()} (`mai1 {command} --help` lists keys and values)"


def _key_in_error(error: Exception, first_line: str, overrides: list[str]) -> str:
    full_key = getattr(getattr(error, "__cause__", None), "full_key", None) or getattr(error, "full_key", None)
    if full_key:
        return full_key
    return next(
        (o.lstrip("+~").partition("=")[0] for o in overrides if o.lstrip("+~").partition("=")[0] in first_line), ""
    )


def key_names(schema: type, prefix: str = "") -> list[str]:
    """Every dotted key of a command's configuration."""
    names = []
    for name, entry in schema.__dataclass_fields__.items():
        names.append(prefix + name)
        if hasattr(entry.type, "__dataclass_fields__"):
            names += key_names(entry.type, f"{prefix}{name}.")
    return names
