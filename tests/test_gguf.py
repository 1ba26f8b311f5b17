"""GGUF files against the models they came from, for every architecture that transformers reads from GGUF."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import huggingface_hub.constants
import pytest
import tokenizers
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerFast

from softh.checkpoints import gguf_settings, hub
from softh.checkpoints.gguf_header import GgufHeader
from softh.checkpoints.resolve import resolve
from softh.cost.preflight import preflight
from softh.errors import InputError
from softh.models.loading import LoadedModel, check_words, load_model
from softh.spec import EstimateSpec
from tests import gguf_files
from tests.hub import Hub, Repo, commit, serve
from tests.test_checkpoints import write_gguf

_SHAPE = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": None, "eos_token_id": None,
    "pad_token_id": None,
}  # fmt: skip
_SMALL = {"vocab_size": 300, "hidden_size": 32}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_SHARED = {**_EXPERTS, "shared_expert_intermediate_size": 24}
_HYBRID = {
    "num_hidden_layers": 4, "head_dim": 32, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1], "mrope_interleaved": True,
        "partial_rotary_factor": 0.25,
    },
}  # fmt: skip
_LOCAL = {"rope_type": "default", "rope_theta": 1e4}


def _rope(kind: str, **settings: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1e4, **settings}}


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("llama", "llama", {}),
    "llama with biases": ("llama", "llama", {"attention_bias": True, "mlp_bias": True}),
    "llama with wide heads": ("llama", "llama", {"head_dim": 16}),
    "llama 3 scaling": ("llama", "llama", _rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                                original_max_position_embeddings=64)),
    "linear scaling": ("llama", "llama", _rope("linear", factor=4.0)),
    "yarn": ("llama", "llama", _rope("yarn", factor=4.0, original_max_position_embeddings=64)),
    "yarn with all its settings": ("llama", "llama", _rope(
        "yarn", factor=4.0, beta_fast=16.0, beta_slow=2.0, attention_factor=1.2, original_max_position_embeddings=64)),
    "mistral": ("llama", "mistral", {"sliding_window": None}),
    "qwen2": ("qwen2", "qwen2", {}),
    "qwen2 with yarn": ("qwen2", "qwen2", _rope("yarn", factor=4.0, original_max_position_embeddings=64)),
    "qwen3": ("qwen3", "qwen3", {"head_dim": 16}),
    "qwen2moe": ("qwen2moe", "qwen2_moe", _SHARED),
    "qwen3moe": ("qwen3moe", "qwen3_moe", {**_EXPERTS, "head_dim": 8, "norm_topk_prob": True}),
    "qwen35": ("qwen35", "qwen3_5_text", _HYBRID),
    "qwen35moe": ("qwen35moe", "qwen3_5_moe_text", {**_HYBRID, **_SHARED}),
    "gemma2": ("gemma2", "gemma2", {"head_dim": 8, "sliding_window": 16, "attn_logit_softcapping": 3.0,
                                    "final_logit_softcapping": 5.0}),
    "gemma2 of 27 billion": ("gemma2", "gemma2", {"head_dim": 16, "query_pre_attn_scalar": 8, "sliding_window": 16,
                                                  "num_hidden_layers": 2}),
    "gemma3": ("gemma3", "gemma3_text", {"head_dim": 8, "sliding_window": 16, "num_hidden_layers": 7}),
    "gemma3 with linear scaling": ("gemma3", "gemma3_text", {
        "head_dim": 8, "sliding_window": 16, "num_hidden_layers": 7, "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}, "sliding_attention": _LOCAL}}),
    "gemma3 of 27 billion": ("gemma3", "gemma3_text", {"head_dim": 16, "query_pre_attn_scalar": 8,
                                                       "sliding_window": 16, "num_hidden_layers": 2}),
    "phi3": ("phi3", "phi3", {}),
    "phi3 with a part of the head": ("phi3", "phi3", _rope("default", partial_rotary_factor=0.5)),
    "phi3 with longrope": ("phi3", "phi3", _rope(
        "longrope", short_factor=[1.0, 1.1, 1.3, 1.7], long_factor=[1.0, 2.0, 3.0, 4.0], attention_factor=1.19,
        original_max_position_embeddings=64)),
    "gpt2": ("gpt2", "gpt2", {}),
    "bloom": ("bloom", "bloom", _SMALL | {"n_layer": 2, "n_head": 4}),
    "falcon": ("falcon", "falcon", _SMALL | {"num_hidden_layers": 2, "num_attention_heads": 4}),
    "stablelm": ("stablelm", "stablelm", {}),
    "stablelm with biases": ("stablelm", "stablelm", {**_rope("default", partial_rotary_factor=0.5),
                                                      "use_qkv_bias": True}),
    "starcoder2": ("starcoder2", "starcoder2", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e5}}),
    "mamba": ("mamba", "mamba", _SMALL | {"num_hidden_layers": 2, "state_size": 4}),
    "nemotron": ("nemotron", "nemotron", {"head_dim": 8}),
    "minimax-m2": ("minimax-m2", "minimax_m2", {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8,
                                                "rotary_dim": 4}),
    "lfm2": ("lfm2", "lfm2", {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}),
}  # fmt: skip
"""Case → architecture in GGUF, ``model_type``, settings."""
UNREADABLE = {
    "gpt-oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8, "sliding_window": 16},
    "gemma4": {"head_dim": 8, "global_head_dim": 8, "sliding_window": 16, "num_hidden_layers": 6,
               "vocab_size_per_layer_input": 300, "hidden_size_per_layer_input": 8},
}  # fmt: skip
"""Architectures that transformers announces and does not read whole."""


def _config(kind: str, settings: dict[str, Any]) -> PretrainedConfig:
    if kind == "gpt2":
        return transformers.GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=256,
                                       bos_token_id=None, eos_token_id=None)  # fmt: skip
    shape = {} if kind in {"bloom", "falcon", "mamba"} else _SHAPE
    return AutoConfig.for_model(kind, **{**shape, **settings})


def _model(kind: str, settings: dict[str, Any]) -> Any:
    """A random model whose attention is far from uniform, so that a change of positions is seen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = AutoModelForCausalLM.from_config(_config(kind, settings)).eval()
        for weight in module.parameters():
            torch.nn.init.normal_(weight, std=0.2) if weight.ndim > 1 else weight.data.add_(
                0.1 * torch.randn_like(weight)
            )
    return module


def _factors(module: Any) -> dict[str, torch.Tensor]:
    """Tensors of the factors of rotary positions, which the converter writes beside the weights."""
    rope = getattr(module.config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "llama3":
        inverse = module.model.rotary_emb.inv_freq
        plain = 1 / rope["rope_theta"] ** (torch.arange(0, 2 * len(inverse), 2).float() / (2 * len(inverse)))
        return {"rope_freqs__weight": plain / inverse}
    if rope.get("rope_type") == "longrope":
        return {f"rope_factors_{name}__weight": torch.tensor(rope[f"{name}_factor"]) for name in ("short", "long")}
    return {}


def _write(folder: Path, name: str, keys: dict[str, Any] | None = None, **extra: torch.Tensor) -> tuple[Path, Any]:
    architecture, kind, settings = CASES[name]
    module = _model(kind, settings)
    # What the converter takes from the name of the model; the number of layers would say it too, and take long.
    keys = {**({"general.size_label": "27B"} if name.endswith("27 billion") else {}), **(keys or {})}
    return gguf_files.write(folder / "tiny.gguf", architecture, module, keys, **_factors(module), **extra), module


def _load(path: Path) -> LoadedModel:
    return load_model(resolve(str(path)), "float32", "cpu")


def _difference(a: Any, b: Any) -> float:
    """Largest relative difference of hidden states of any layer, and of the logits."""
    ids = (torch.arange(200) * 7919 % 300)[None]
    with torch.inference_mode():
        first, second = (module(input_ids=ids, output_hidden_states=True) for module in (a, b))
    pairs = zip((*first.hidden_states, first.logits), (*second.hidden_states, second.logits), strict=True)
    return max(((x - y).norm() / x.norm()).item() for x, y in pairs)


@pytest.mark.parametrize("name", list(CASES))
def test_hidden_states_are_those_of_the_model_it_came_from(tmp_path: Path, name: str) -> None:
    path, module = _write(tmp_path, name)
    assert _difference(module, _load(path).module) < 1e-4


@pytest.mark.parametrize(
    "name", ["llama 3 scaling", "linear scaling", "yarn", "gemma3 with linear scaling", "gemma3 of 27 billion",
             "gemma2 of 27 billion", "phi3 with longrope", "starcoder2", "stablelm with biases"],
)  # fmt: skip
def test_without_what_is_set_they_would_differ(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, module = _write(tmp_path, name)
    monkeypatch.setattr(gguf_settings.GgufSettings, "apply", lambda self, config: None)
    assert _difference(module, _load(path).module) > 1e-2


def test_every_architecture_that_is_read_is_compared_or_named_as_unreadable() -> None:
    compared = {architecture for architecture, _, _ in CASES.values()}
    assert gguf_settings.readable() == compared | set(UNREADABLE) | {"t5", "umt5"}


@pytest.mark.parametrize("name", list(UNREADABLE))
def test_an_architecture_that_is_not_read_whole_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = gguf_settings.KINDS.get(name, name.replace("-", "_"))
    path = gguf_files.write(tmp_path / "tiny.gguf", name, _model(kind, UNREADABLE[name]))
    with pytest.raises(InputError, match=f"architecture '{name}', of which the installed transformers leaves"):
        resolve(str(path))
    monkeypatch.setattr(gguf_settings, "check", lambda *_: None)  # as long as transformers cannot
    with pytest.raises(InputError, match=r"less than its architecture has|leaves out|cannot be loaded"):
        _load(path)


@pytest.mark.parametrize(
    ("name", "keys", "words"),
    [
        ("llama", {"expert_count": 8, "expert_used_count": 2}, "expert_count to 8"),
        ("llama", {"attention.clamp_kqv": 8.0}, "attention.clamp_kqv to 8"),
        ("llama", {"attention.scale": 0.5}, "attention.scale to 0.5"),
        ("llama", {"attention.causal": False}, "attention.causal to False"),
        ("llama", {"embedding_scale": 12.0}, "embedding_scale to 12"),
        ("llama", {"logit_scale": 0.0625}, "logit_scale to 0.0625"),
        ("llama", {"residual_scale": 0.22}, "residual_scale to 0.22"),
        ("llama", {"attention.temperature_scale": 0.1}, "attention.temperature_scale to"),
        ("llama", {"some.later_key": 3}, "some.later_key to 3"),
        ("llama", {"attention.value_length": 4}, "attention.value_length to 4"),
        ("llama", {"attention.head_count_kv": [2, 1]}, "attention.head_count_kv to"),
        ("llama", {"feed_forward_length": [48, 32]}, "feed_forward_length to"),
        ("llama", {"rope.dimension_count": 4}, "rotates only a part of each head"),
        ("llama", {"rope.scaling.type": "dynamic"}, "positions scaled by 'dynamic'"),
        ("llama", {"rope.scaling.type": "longrope"}, "has none"),
        ("qwen2", {"attn_logit_softcapping": 30.0}, "attn_logit_softcapping to 30"),
        ("qwen2", {"attention.sliding_window": 64}, "attention.sliding_window to 64"),
        ("llama", {"rope.freq_base_swa": 100.0}, "another base of rotary positions"),
        ("yarn", {"rope.scaling.yarn_log_multiplier": 0.1}, "yarn_log_multiplier to 0.1"),
        ("yarn", {"rope.scaling.yarn_ext_factor": 0.5}, "yarn_ext_factor"),
        ("mamba", {"ssm.dt_b_c_rms": True}, "ssm.dt_b_c_rms to True"),
        ("falcon", {"attention.head_count_kv": 2}, "several key heads"),
        ("gpt2", {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}, "architecture does not have"),
    ],
)  # fmt: skip
def test_a_key_that_changes_the_forward_pass_and_is_not_applied_is_refused(
    tmp_path: Path, name: str, keys: dict[str, Any], words: str
) -> None:
    path, _ = _write(tmp_path, name, keys)
    for look in (resolve, lambda model: preflight(EstimateSpec(model=model))):
        with pytest.raises(InputError, match=re.escape(words)) as refusal:
            look(str(path))
        assert "safetensors it was converted from" in str(refusal.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"rope.scaling.type": "none"},
        {"rope.scaling.finetuned": False, "expert_count": 0, "attention.causal": True, "logit_scale": 1.0},
        {"attention.scale": 8**-0.5, "pooling_type": 3, "rope.dimension_count": 8},
    ],
)
def test_a_key_that_says_what_is_so_anyway_changes_nothing(tmp_path: Path, keys: dict[str, Any]) -> None:
    path, module = _write(tmp_path, "llama", keys)
    assert _difference(module, _load(path).module) < 1e-4


@pytest.mark.parametrize(("architecture", "layers", "heads", "expected"), [
    ("gemma2", 46, 32, 144), ("gemma3", 62, 32, 168), ("gemma2", 42, 16, None), ("gemma3", 48, 16, None)])  # fmt: skip
def test_queries_of_the_largest_gemma_are_scaled_by_width_a_head(
    architecture: str, layers: int, heads: int, expected: int | None
) -> None:
    header = GgufHeader(
        quantisation="F16", quantised=False, architecture=architecture, layers=layers, width=(expected or 240) * heads,
        vocabulary=1, longest_context=8192, parameters=1,
        settings={"attention.head_count": heads, "attention.key_length": 128},
    )  # fmt: skip
    assert gguf_settings.settings(header, None).values.get("query_pre_attn_scalar") == expected


def test_older_files_give_a_linear_factor_alone(tmp_path: Path) -> None:
    path, module = _write(tmp_path, "linear scaling", {
        "rope.scaling.type": None, "rope.scaling.factor": None, "rope.scale_linear": 4.0})  # fmt: skip
    assert _difference(module, _load(path).module) < 1e-4


def test_a_window_for_every_other_layer_is_applied(tmp_path: Path) -> None:
    settings = {"layer_types": ["full_attention", "sliding_attention"] * 3 + ["full_attention"]}
    module = _model("gemma3_text", {**CASES["gemma3"][2], **settings})
    pattern = [kind == "sliding_attention" for kind in settings["layer_types"]]
    path = gguf_files.write(tmp_path / "tiny.gguf", "gemma3", module, {"attention.sliding_window_pattern": pattern})
    assert _difference(module, _load(path).module) < 1e-4


def test_a_tensor_that_transformers_leaves_out_is_refused(tmp_path: Path) -> None:
    path, _ = _write(tmp_path, "llama", blk__0__attn_q_norm__weight=torch.ones(8))
    with pytest.raises(InputError, match="holds 8 numbers that transformers leaves out"):
        _load(path)


def _typed(path: Path, architecture: str, **strings: str) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in strings.items():
        writer.add_string(key.replace("__", "."), value)
    writer.add_uint32(f"{architecture}.block_count", 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("architecture", "strings", "words"),
    [
        ("llama", {"general__type": "adapter"}, "is a LoRA adapter, not a model"),
        ("clip", {"general__type": "mmproj"}, "image part of a multimodal model"),
        ("t5", {}, "is an encoder with a decoder"),
        ("deci", {}, "architecture 'deci', which the installed transformers does not read from GGUF"),
        ("granite", {}, "architecture 'granite', which the installed transformers does not read"),
    ],
)
def test_files_that_are_no_model_for_transformers_are_refused(
    tmp_path: Path, architecture: str, strings: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        resolve(str(_typed(tmp_path / "tiny.gguf", architecture, **strings)))


def test_cached_states_of_a_changed_config_are_not_those_of_before(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a", "b"))
    for folder in (first, second):
        folder.mkdir()
    plain, scaled = _write(first, "llama")[0], _write(second, "linear scaling")[0]
    assert _load(plain).adapted != _load(scaled).adapted


# Split files


@pytest.mark.parametrize("named", ["", "big-00001-of-00003.gguf", "big-00002-of-00003.gguf"])
def test_a_split_file_is_refused_with_the_command_that_merges_it(tmp_path: Path, named: str) -> None:
    for part in range(3):
        path = tmp_path / f"big-{part + 1:05}-of-00003.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_uint16("split.count", 3)
        writer.add_uint16("split.no", part)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    with pytest.raises(InputError) as refusal:
        resolve(str(tmp_path / named))
    assert "split into 3 GGUF files" in str(refusal.value)
    assert "`llama-gguf-split --merge big-00001-of-00003.gguf big.gguf`" in str(refusal.value)


# Files of a repository of the hub


@pytest.fixture
def quants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub with a repository of several quantisations, one in a folder, one split."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    content = write_gguf(tmp_path / "q.gguf").read_bytes()
    other = write_gguf(tmp_path / "f.gguf", quantised=False).read_bytes()
    names = {"tiny-Q4_K_M.gguf": content, "tiny-Q4_K_S.gguf": content, "tiny-f16.gguf": other,
             "Q8_0/tiny-Q8_0.gguf": other, "BF16/tiny-BF16-00001-of-00002.gguf": other,
             "BF16/tiny-BF16-00002-of-00002.gguf": other}  # fmt: skip
    with serve() as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE",
                            server.url + "/{repo_id}/resolve/{revision}/{filename}")  # fmt: skip
        server.repos["models/acme/tiny-GGUF"] = Repo({"main": names})
        yield server, commit(names)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("acme/tiny-GGUF:Q4_K_M", "tiny-Q4_K_M.gguf"),
        ("acme/tiny-GGUF:q4_k_m", "tiny-Q4_K_M.gguf"),
        ("acme/tiny-GGUF/tiny-Q4_K_S.gguf", "tiny-Q4_K_S.gguf"),
        ("acme/tiny-GGUF:F16", "tiny-f16.gguf"),
        ("acme/tiny-GGUF:Q8_0", "tiny-Q8_0.gguf"),
        ("acme/tiny-GGUF/Q8_0/tiny-Q8_0.gguf", "tiny-Q8_0.gguf"),
    ],
)
def test_one_of_several_quantisations_is_named(quants: tuple[Hub, str], name: str, file: str) -> None:
    server, sha = quants
    checkpoint, looked = resolve(name), preflight(EstimateSpec(model=name))
    assert (checkpoint.path / file).is_file()
    assert checkpoint.files is not None
    assert checkpoint.files.names == (file,)
    assert {path.rsplit("/", 1)[-1] for path in server.downloads() if path.endswith(".gguf")} == {file}
    assert hub.commit_of(checkpoint.digest) == sha
    assert looked.digest == checkpoint.digest != sha
    assert checkpoint.name.startswith("acme/tiny-GGUF (")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acme/tiny-GGUF", "owner/name:QUANTISATION"),
        ("acme/tiny-GGUF:Q5_K_M", "names no GGUF file of its repository"),
        ("acme/tiny-GGUF/absent.gguf", "names no GGUF file of its repository"),
        ("acme/tiny-GGUF/../tiny-f16.gguf", "does not exist"),
        ("acme/tiny-GGUF:BF16", "llama-gguf-split --merge"),
        ("acme/tiny-GGUF/BF16/tiny-BF16-00001-of-00002.gguf", "llama-gguf-split --merge"),
    ],
)
def test_a_name_that_is_no_single_file_is_refused(quants: tuple[Hub, str], name: str, words: str) -> None:
    looks: tuple[Callable[[str], Any], ...] = (resolve, lambda model: preflight(EstimateSpec(model=model)))
    for look in looks:
        with pytest.raises(InputError, match=words):
            look(name)


def test_two_quantisations_of_a_repository_are_two_checkpoints(quants: tuple[Hub, str]) -> None:
    assert resolve("acme/tiny-GGUF:Q4_K_M").digest != resolve("acme/tiny-GGUF:Q4_K_S").digest


def test_a_tokenizer_that_lost_its_merges_is_refused() -> None:
    words = [f"{a}{b}{c}ing" for a in "bdfgl" for b in "aeiou" for c in "nrt"]
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=5_000, initial_alphabet=alphabet)
    trained.train_from_iterator([f"the {word}" for word in words], trainer)
    check_words(PreTrainedTokenizerFast(tokenizer_object=trained), "whole")
    content = json.loads(trained.to_str())
    content["model"]["merges"] = content["model"]["merges"][:10]
    damaged = PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer.from_str(json.dumps(content)))
    with pytest.raises(InputError, match=r"splits '[a-z]+ing' and other words of its vocabulary"):
        check_words(damaged, "damaged")
    few = PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()))
    check_words(few, "a vocabulary without words")
