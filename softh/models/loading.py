"""Models in memory: checkpoints loaded by transformers, and their description in the tables."""

import logging
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from softh.checkpoints.files import LEGACY_CHAT_TEMPLATE, PROCESSOR, LocalFiles, read_json
from softh.checkpoints.resolve import Checkpoint
from softh.checkpoints.revisions import family_from_name
from softh.cost import predict, preflight
from softh.errors import InputError
from softh.format import format_size

log = logging.getLogger(__name__)

_WITHOUT_EMBEDDING = {"mamba", "mamba2", "falcon_mamba", "rwkv"}
"""For these transformers returns every layer and the last once more after the norm, but not the embedding."""
_WORD, _WORDS = re.compile("[▁Ġ][a-z]{5,9}"), 40
"""Pieces of a vocabulary that are whole words, and how many of them a tokenizer is tried with."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, ready to run, and its description."""

    module: Any = field(repr=False)
    """A PreTrainedModel; Any, because its library leaves most of its methods untyped."""
    tokenizer: Any = field(repr=False)
    layers: int
    """Transformer layers; hidden states are one more."""
    width: int
    has_head: bool
    """Whether it predicts the next token."""
    plain_head: bool
    """Whether the logits are the output embedding of the last hidden state and nothing more."""
    dtype: str
    """Number format that runs, e.g. ``bfloat16``."""
    attention: str
    device: str
    architecture: str
    family: str
    parameters: int
    """Weights, tied ones once."""
    vocabulary: int
    """Rows of the embedding."""
    longest_context: int | None
    """Tokens the model can read; None without a limit."""
    adapted: str = ""
    """What the weights format set in the config that transformers made; empty for most models."""
    streams: bool = False
    """Whether its hidden states can be read one after another while it runs."""


def load_model(checkpoint: Checkpoint, dtype: str = "auto", device: str = "auto") -> LoadedModel:
    """Load a checkpoint for evaluation.

    Args:
        checkpoint: files of a model.
        dtype: ``auto`` (bfloat16 on a GPU that has it, else float32), ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto`` (a GPU, all of them for a model larger than one, else the CPU) or a name torch knows.

    Raises:
        InputError: for an architecture that is unknown or gives no hidden states, and for weights that do not fit.
    """
    target = _device(device)
    torch_dtype = _dtype(dtype, target)
    device_map = "auto" if device == "auto" and _is_spread(checkpoint, torch_dtype) else target
    module, tokenizer, causal, adapted = load_module(checkpoint, torch_dtype, device_map)
    if {"cpu", "disk"} & set((getattr(module, "hf_device_map", None) or {}).values()):
        log.warning(
            "%s is larger than its GPUs: part of it stays outside of them and is moved in for every batch, which is "
            "slow. Use more GPUs.",
            checkpoint.name,
        )
    model = describe(module.eval().requires_grad_(requires_grad=False), tokenizer, checkpoint.name, causal=causal)
    return replace(model, adapted=adapted)


def check_words(tokenizer: Any, name: str) -> None:
    """Check that words of a vocabulary are one token each.

    Some versions of transformers rebuild the tokenizer of a GGUF file without its merges: then the model reads other
    tokens than it was trained on, and nothing but its loss tells.

    Errors: InputError where most words are split.
    """
    vocabulary = tokenizer.get_vocab()
    # The earliest are the most frequent, merged first.
    words = [piece[1:] for piece in sorted(vocabulary, key=vocabulary.__getitem__) if _WORD.fullmatch(piece)][:_WORDS]
    if len(words) < _WORDS:
        return
    alone, *pairs = tokenizer(["the", *(f"the {word}" for word in words)], add_special_tokens=False)["input_ids"]
    if sum(len(pair) > len(alone) + 1 for pair in pairs) > _WORDS / 2:
        raise InputError(
            f"The tokenizer that transformers {transformers.__version__} makes of {name} splits {words[0]!r} and other "
            "words of its vocabulary; expected one token each, as the model was trained: update transformers."
        )


def describe(module: Any, tokenizer: Any, name: str, *, causal: bool = True) -> LoadedModel:
    """Describe a module that is already in memory and in evaluation mode.

    Args:
        module: a PreTrainedModel of transformers.
        tokenizer: of the model.
        name: of the model, for its family and for errors.
        causal: whether it predicts the next token.

    Raises:
        InputError: when it does not run on text alone, or gives no hidden states of one width.
    """
    hidden, plain = _probe(module, name, causal=causal)
    text = module.config.get_text_config()
    return LoadedModel(
        module=module,
        tokenizer=tokenizer,
        layers=len(hidden) - 1,
        width=hidden[-1].shape[-1],
        has_head=causal,
        plain_head=plain,
        dtype=str(hidden[-1].dtype).removeprefix("torch."),
        attention=str(getattr(text, "_attn_implementation", None) or "none"),
        device=str(module.get_input_embeddings().weight.device),
        architecture=type(module).__name__,
        family=family_from_name(name) or module.config.model_type,
        parameters=sum(weight.numel() for weight in module.parameters()),
        vocabulary=module.get_input_embeddings().weight.shape[0],
        longest_context=longest_context(module),
        streams=_streams(module),
    )


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        named = torch.device(device)
        torch.empty(0, device=named)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"device was {device!r}, which torch cannot use here; expected auto, cpu or cuda.") from None
    return named


def _is_spread(checkpoint: Checkpoint, dtype: torch.dtype) -> bool:
    """Whether there are several GPUs and the checkpoint needs more memory than the first has free."""
    count = torch.cuda.device_count()
    if count < 2:
        return False
    room = [torch.cuda.mem_get_info(0)[0]] * count
    return predict.gpus_needed(preflight.sizes_of(checkpoint), dtype.itemsize, room) > 1


def _dtype(dtype: str, device: torch.device) -> torch.dtype:
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return getattr(torch, dtype)


def load_module(checkpoint: Checkpoint, dtype: torch.dtype, device_map: Any) -> tuple[Any, Any, bool, str]:
    """Module, tokenizer, whether the module predicts the next token, and what was set in its config."""
    weights = checkpoint.files
    assert weights is not None, "a model that exists in memory only is never loaded"
    options = weights.format.load_arguments(weights.names)
    files = LocalFiles(checkpoint.path, checkpoint.name)
    translated = weights.format.translate(files, weights.names)
    if translated is None:
        config = _from_pretrained(AutoConfig, checkpoint, **options)
    else:
        config = AutoConfig.for_model(**translated.config)
    adapted = weights.format.adapt(config, checkpoint.path, weights.names)
    causal = _is_causal(config, checkpoint.name) or weights.format.always_causal
    if translated is None:
        factory = AutoModelForCausalLM if causal else AutoModel
        given = weights.format.model_arguments(files, weights.names)
    else:  # weights instead of a folder are taken by the class itself alone
        factory = getattr(transformers, translated.config["architectures"][0])
        given = {"pretrained_model_name_or_path": None, "state_dict": translated.tensors}
    memory = _gpu_memory(device_map)
    try:
        module, report = _from_pretrained(
            factory,
            checkpoint,
            config=config,
            dtype=dtype,
            device_map=device_map,
            use_safetensors=weights.format.use_safetensors,
            output_loading_info=True,
            **options,
            **given,
        )
    except torch.OutOfMemoryError:
        raise InputError(_too_large(checkpoint, dtype, memory)) from None
    # The class that such a checkpoint names may be code that comes with it: tokenizer.json is used as it is.
    tokenizers = AutoTokenizer if translated is None else PreTrainedTokenizerFast
    tokenizer = _from_pretrained(tokenizers, checkpoint, **options)
    if weights.format.self_contained:
        check_words(tokenizer, checkpoint.name)
    if not tokenizer.chat_template and not weights.format.self_contained:
        tokenizer.chat_template = _processor_template(checkpoint.path)
    # A pooler comes after the last hidden state and does not change it.
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name)
    if missing and weights.format.self_contained:
        raise InputError(
            f"{checkpoint.name} gives transformers {len(missing)} tensors less than its architecture has, {missing[0]} "
            "among them; expected a whole model: name the safetensors it was converted from."
        )
    if missing:
        raise InputError(
            f"The weights of {checkpoint.name} lack {len(missing)} tensors of its config, {missing[0]} among them; "
            "expected all of them: use weights and config of one model."
        )
    weights.format.check_loaded(_numbers(module), files, weights.names)
    module.config.get_text_config().use_cache = False
    return module, tokenizer, causal, adapted


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a hub id or of a folder, without its model; none of its code runs.

    Raises:
        InputError: when there is none that transformers reads.
    """
    try:
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # a damaged tokenizer raises a bare Exception, and none of our code runs here
        raise InputError(
            f"{name} holds no tokenizer that transformers reads ({_one_line(error)}); expected a hub id or a folder: "
            "check the name."
        ) from error


def _numbers(module: Any) -> int:
    """Numbers that files of the model hold: weights and stored buffers, tied ones once."""
    stored = {value.data_ptr() or name: value.numel() for name, value in module.state_dict().items()}
    return sum(stored.values())


def _processor_template(folder: Path) -> str | None:
    """The chat template in a file of the model's processor, where the tokenizer does not look for it."""
    for name in (LEGACY_CHAT_TEMPLATE, PROCESSOR):
        if (folder / name).is_file() and isinstance(template := read_json(folder / name).get("chat_template"), str):
            return template
    return None


def _from_pretrained(factory: Any, checkpoint: Checkpoint, **options: Any) -> Any:
    """What transformers reads of a checkpoint: no code of the checkpoint runs, and nothing is downloaded."""
    options = {"pretrained_model_name_or_path": checkpoint.path, "local_files_only": True, **options}
    try:
        return factory.from_pretrained(trust_remote_code=False, **options)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a damaged tokenizer raises a bare Exception, and none of our code runs here
        raise InputError(
            f"{checkpoint.name} cannot be loaded by transformers {transformers.__version__} ({_one_line(error)}); "
            "expected an architecture it knows, with weights that fit its config: check the files."
        ) from error


def _gpu_memory(device_map: Any) -> list[tuple[int, int]]:
    """Free and total bytes of the GPUs that a model is loaded to, before it is."""
    if device_map == "auto":
        return [torch.cuda.mem_get_info(number) for number in range(torch.cuda.device_count())]
    on_gpu = isinstance(device_map, torch.device) and device_map.type == "cuda"
    return [torch.cuda.mem_get_info(device_map)] if on_gpu else []


def _too_large(checkpoint: Checkpoint, dtype: torch.dtype, memory: list[tuple[int, int]]) -> str:
    weights = preflight.sizes_of(checkpoint).parameters * dtype.itemsize
    free, total = (format_size(sum(gpu[index] for gpu in memory)) for index in (0, 1))
    return (
        f"The weights of {checkpoint.name} take {format_size(weights)} in {str(dtype).removeprefix('torch.')}, and "
        f"{len(memory)} GPU{' has' if len(memory) == 1 else 's have'} {free} free of "
        f"{total}; expected room for them: use more GPUs, or --device cpu."
    )


def _is_causal(config: Any, name: str) -> bool:
    if config.is_encoder_decoder:
        raise InputError(
            f"{name} is an encoder with a decoder ({config.model_type}); "
            "expected one stack of layers: choose a decoder or an encoder."
        )
    names = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    causal = {name for several in names for name in ((several,) if isinstance(several, str) else several)}
    return bool(causal.intersection(config.architectures or ()))


def _one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200].rstrip(".")


def _probe(module: Any, name: str, *, causal: bool) -> tuple[Sequence[Tensor], bool]:
    """Hidden states of eight tokens, and whether the head alone gives the logits from the last of them."""
    try:
        hidden, plain = _try(module, causal=causal)
    except (ValueError, TypeError, RuntimeError, AttributeError, NotImplementedError) as error:
        raise InputError(
            f"{name} does not run on text alone ({_one_line(error)}); expected a language model: choose one."
        ) from error
    if not hidden or any(states.shape != hidden[-1].shape for states in hidden):
        widths = sorted({states.shape[-1] for states in hidden or ()})
        raise InputError(f"{name} gives hidden states of widths {widths}; expected one width: choose another model.")
    return hidden, plain


@torch.inference_mode()
def _try(module: Any, *, causal: bool) -> tuple[Sequence[Tensor], bool]:
    table = module.get_input_embeddings().weight
    ids = torch.arange(8, device=table.device)[None] % len(table)
    mask = torch.ones_like(ids)
    with _first_input(module) as first:
        hidden = all_hidden(module, ids, mask)
    if first and not _equal(hidden[0], first[0]):
        raise ValueError("its hidden states do not begin with the embedding")
    head = module.get_output_embeddings() if causal else None
    # Some models scale or cap their logits: only a head that reproduces them to the bit is used alone.
    return hidden, head is not None and _equal(head(hidden[-1]), module(input_ids=ids, attention_mask=mask).logits)


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether tensors are equal to the bit, on whichever GPUs of a model that is spread over several."""
    return torch.equal(a, b.to(a.device))


@contextmanager
def _first_input(module: Any) -> Generator[list[Tensor]]:
    """Collect the input of the first layer while the block runs; nothing where the layers are not a plain list."""
    seen: list[Tensor] = []
    with _inputs(_layers(module)[:1], lambda _, states: seen.append(states)):
        yield seen


def _layers(module: Any) -> Sequence[nn.Module]:
    """The layers of a model in order; none where they are not a plain list."""
    count = module.config.get_text_config().num_hidden_layers
    parts = module.base_model.modules()
    lists = (list(part) for part in parts if isinstance(part, nn.ModuleList) and len(part) == count)
    return next(lists, [])


@contextmanager
def _inputs(layers: Sequence[nn.Module], on_states: Callable[[int, Tensor], object]) -> Generator[None]:
    """Call on_states(number, states) with the input of each of these layers while the block runs."""

    def hook(number: int) -> Callable[..., None]:
        return lambda _, args, kwargs: (on_states(number, args[0] if args else kwargs["hidden_states"]), None)[1]

    with ExitStack() as hooks:
        for number, layer in enumerate(layers):
            hooks.callback(layer.register_forward_pre_hook(hook(number), with_kwargs=True).remove)
        yield


@torch.inference_mode()
def _streams(module: Any) -> bool:
    """Whether the inputs of the layers, and the output of the last, are the hidden states to the bit."""
    table = module.get_input_embeddings().weight
    ids = torch.arange(8, device=table.device)[None] % len(table)
    mask, seen = torch.ones_like(ids), dict[int, Tensor]()
    stream_hidden(module, ids, mask, seen.__setitem__)
    hidden = all_hidden(module, ids, mask)
    return len(seen) == len(hidden) and all(_equal(seen[n], states) for n, states in enumerate(hidden))


def stream_hidden(module: Any, ids: Tensor, mask: Tensor, on_states: Callable[[int, Tensor], object]) -> Tensor:
    """Pass on the hidden states of :func:`all_hidden` as they are computed, as on_states(layer, states).

    Returns the last of them.
    """
    layers = _layers(module)
    with _inputs(layers, on_states):
        last = module.base_model(input_ids=ids, attention_mask=mask)[0]
    on_states(len(layers), last)
    return last


def all_hidden(module: Any, ids: Tensor, mask: Tensor) -> Sequence[Tensor]:
    """Embedding, layers, and the last layer after the final norm, each [documents, tokens, width]; no head runs.

    Args:
        module: a PreTrainedModel of transformers.
        ids: [documents, tokens] token ids.
        mask: [documents, tokens] attention mask.
    """
    hidden = module.base_model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    if module.config.model_type in _WITHOUT_EMBEDDING:
        return (module.get_input_embeddings()(ids), *hidden[:-2], hidden[-1])
    return hidden


def longest_context(module: Any) -> int | None:
    """Tokens that a model can read; None without a limit."""
    for name, part in module.named_modules():
        # Position tables of the RoBERTa kind leave the rows up to the padding one unused.
        if name.endswith("position_embeddings") and getattr(part, "padding_idx", None) is not None:
            return part.num_embeddings - part.padding_idx - 1
    return getattr(module.config.get_text_config(), "max_position_embeddings", None)
