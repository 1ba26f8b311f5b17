"""Files that training and other tools leave in the place of a model: what they are, and the command that converts."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from softh.checkpoints.files import check_content, parse_json
from softh.errors import InputError

_ADAPTERS = {"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "adapters.safetensors",
             "pytorch_adapter.bin", "pytorch_lora_weights.safetensors"}  # fmt: skip
_PROMPTS = {"PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING", "ADAPTION_PROMPT", "CPT"}
"""Methods of peft that train tokens or prefixes, which are no part of the weights."""
_PLAIN_NAME = re.compile(r"[\w./-]{1,120}", re.ASCII)
_WRAPPERS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
_PICKLED = re.compile(r"pytorch_model(?:-\d{5}-of-\d{5})?\.bin")
_STATE = re.compile(r"training_args\.bin|optimizer\S*|scheduler\.\w+|rng_state\S*|scaler\.pt|random_states_\d+\.pkl")
"""What a trainer saves beside the weights."""


class Layout(NamedTuple):
    """A way to save a model that transformers does not read."""

    names: re.Pattern[str]
    """Of its files, some in a folder."""
    reason: str
    """Follows the name of the model."""
    remedy: str
    """A command, or what to do; SOURCE is the model, FOLDER the folder of the files."""


LAYOUTS = (
    Layout(
        re.compile(r"(pytorch_model_fsdp_\d+)/.*\.distcp"),
        "has its weights as shards of FSDP",
        "merge them with `accelerate merge-weights SOURCE/FOLDER SOURCE`",
    ),
    Layout(
        re.compile(r"(?:.*/)?(?:common\.pt|model_optim_rng\.pt|mp_rank_\d+(?:_\d+)?/.*)"),
        "has its weights as shards of Megatron",
        "convert them with Megatron-LM's tools/checkpoint/convert.py or Megatron Bridge",
    ),
    Layout(
        re.compile(r"(?:(.*)/)?[^/]*\.distcp"),
        "has its weights as shards of torch.distributed.checkpoint",
        "run `python -m torch.distributed.checkpoint.format_utils dcp_to_torch SOURCE/FOLDER model.pt`, load model.pt "
        "into the model and save it with save_pretrained",
    ),
    Layout(
        re.compile(r"zero_to_fp32\.py|(?:.*/)?(?:bf16_|fp16_)?(?:zero_pp_rank|mp_rank)_\S*_states\.pt"),
        "has its weights as shards of DeepSpeed",
        "run `python SOURCE/zero_to_fp32.py SOURCE SOURCE --safe_serialization`",
    ),
    Layout(
        re.compile(r"consolidated(?:\.\d+)?\.(?:safetensors|pth)"),
        "has its weights in the layout of their authors (consolidated)",
        "take the version for transformers, or convert them with the script convert_…_to_hf.py of transformers",
    ),
    Layout(
        re.compile(r"model-\d{5}-of-\d{5}\.safetensors"),
        "has shards of weights and no model.safetensors.index.json",
        "add the index",
    ),
    Layout(
        re.compile(r"(?!adapter)[^/]*\.safetensors"),
        "has safetensors under a name that transformers does not look for",
        "rename the file to model.safetensors, or save the model with save_pretrained",
    ),
    Layout(re.compile(r"[^/]*\.nemo"), "has its weights in an archive of NeMo", "export it to Hugging Face with NeMo"),
)
"""The first with a file among those of a model decides."""


def check_layout(names: set[str], source: str) -> None:
    """Errors: InputError for weights in a layout that transformers does not read, with the command that converts."""
    if any(_PICKLED.fullmatch(name) for name in names):
        return  # whole weights, of which another sentence speaks
    for layout in LAYOUTS:
        if match := next(filter(None, map(layout.names.fullmatch, sorted(names))), None):
            folder = (match[1] if match.re.groups else None) or ""
            remedy = layout.remedy.replace("SOURCE", source).replace("/FOLDER", f"/{folder}" if folder else "")
            raise InputError(f"{source} {layout.reason}; expected model.safetensors: {remedy}.")


def weights_in(names: Iterable[str]) -> set[str]:
    """The names without those of a trainer's own state, which hold no weights."""
    return {name for name in names if not _STATE.fullmatch(name)}


def check_adapter(names: set[str], source: str, read: Callable[[str], bytes] | None = None) -> None:
    """Errors: InputError for an adapter, alone or beside a model, with the command that merges it into its base.

    transformers applies an adapter to the model in its folder or leaves it out, as peft is installed or not. read: the
    content of one of the files, to name the base.
    """
    if not (found := _ADAPTERS & names):
        return
    config = _adapter_config(names, read)
    base = config.get("base_model_name_or_path") or config.get("model_name") or config.get("model")
    base = base if isinstance(base, str) and _PLAIN_NAME.fullmatch(base) else None
    what = f"an adapter of {base}" if base else "an adapter"
    both = "config.json" in names and any(name.startswith("model") and name.endswith(".safetensors") for name in names)
    holds = f"holds a model and {what} beside it" if both else f"is {what}, not a model"
    kind = str(config.get("peft_type", "LORA")).upper()
    if kind in _PROMPTS:
        raise InputError(
            f"{source} {holds}, trained as a prompt, which cannot be merged into weights; expected a whole "
            "model: choose one."
        )
    raise InputError(f"{source} {holds}; expected one whole model: {_merge(source, base, found, config)}"
                     f"{', or move the adapter away to measure the model alone' if both else ''}.")  # fmt: skip


def _merge(source: str, base: str | None, found: set[str], config: Mapping[str, Any]) -> str:
    """The command that merges an adapter into its base."""
    if "adapters.safetensors" in found or "fine_tune_type" in config:
        return f"merge it with `mlx_lm.fuse --model {base or 'BASE'} --adapter-path {source} --save-path merged`"
    if "pytorch_adapter.bin" in found or (config and "peft_type" not in config):
        return "merge it with the library that trained it, and save the model with save_pretrained"
    tokenizer = base or source
    return (
        'merge it with `python -c "from peft import AutoPeftModelForCausalLM as M; from transformers import '
        f"AutoTokenizer as T; M.from_pretrained('{source}').merge_and_unload().save_pretrained('merged'); "
        f"T.from_pretrained('{tokenizer}').save_pretrained('merged')\"` and name the folder merged"
    )


def _adapter_config(names: set[str], read: Callable[[str], bytes] | None) -> dict[str, Any]:
    if read is None or "adapter_config.json" not in names:
        return {}
    return parse_json(read("adapter_config.json"), "adapter_config.json")


def check_here(folder: Path) -> None:
    """Errors: InputError for links that lead nowhere and files that only stand for others, such as Git LFS pointers."""
    for entry in sorted(folder.iterdir()):
        wanted = entry.name.endswith((".safetensors", ".json", ".gguf", ".model", ".txt", ".jinja"))
        if wanted and entry.is_symlink() and not entry.exists():
            raise InputError(f"{entry.name} is a link to a file that is not there; expected the file itself: copy it, "
                             "following links.")  # fmt: skip
        if wanted and entry.is_file() and entry.stat().st_size < 1024:
            check_content(entry.read_bytes(), entry.name)


def renamings(tensors: Iterable[str], source: str) -> dict[str, str]:
    """Patterns of names of tensors → their replacement, for weights saved from inside a wrapper; empty for others.

    Wrappers of torch.compile, DDP, FSDP, DeepSpeed, activation checkpointing, Lightning and of trl's value head.
    Errors: InputError for weights with an adapter that was not merged.

    >>> renamings(["module.model.norm.weight", "module.lm_head.weight"], "mine")
    {'^module\\\\.': ''}
    """
    names = list(tensors)
    if any(".lora_A." in name or ".lora_magnitude_vector" in name for name in names):
        raise InputError(
            f"{source} holds weights with a LoRA adapter that was not merged; expected a whole model: call "
            "merge_and_unload() and save it again."
        )
    found: dict[str, str] = {}
    while names:
        if most := max(len(_WRAPPERS.findall(name)) for name in names):
            # transformers applies a pattern once to a name, and keeps one of two equal patterns.
            found.update({_WRAPPERS.pattern + "(?:)" * again: "" for again in range(most)})
            names = [_WRAPPERS.sub("", name) for name in names]
        elif prefix := next(filter(None, (_prefix(names, each) for each in _PREFIXES)), None):
            found[f"^{re.escape(prefix)}"] = ""
            names = [name.removeprefix(prefix) for name in names]
        else:
            return found
    return found


_PREFIXES = ("module.", "pretrained_model.", "model.model.", "model.lm_head.", "model.transformer.", "model.gpt_neox.")


def _prefix(names: list[str], prefix: str) -> str | None:
    """The part before the names of a model that all tensors share; None where there is none."""
    if prefix in {"module.", "pretrained_model."}:
        inside = [name for name in names if not name.startswith("v_head.")]
        return prefix if inside and all(name.startswith(prefix) for name in inside) else None
    # A module of Lightning calls its model "model", so that every name begins so, also that of the head.
    whole = all(name.startswith("model.") for name in names)
    return "model." if whole and any(name.startswith(prefix) for name in names) else None
