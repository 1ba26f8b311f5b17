"""A checkpoint of AI2's own code computes what AI2's code computes, and any other layout is refused in a sentence."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from softh import access
from softh.checkpoints.files import LocalFiles
from softh.checkpoints.hf_olmo import llama_config
from softh.checkpoints.resolve import resolve
from softh.cost.preflight import preflight
from softh.errors import InputError
from softh.estimator.pipeline import estimate
from softh.models.loading import all_hidden, load_model
from softh.spec import EstimateSpec
from softh.sweeps import recipe as sweep
from softh.uploads import receive
from tests import olmo, tiny
from tests.hub import Hub, Repo, files_of, reached

IDS = [[3, 7, 1, 250, 5, 9, 7, 7, 0, 299, 42], [8, 8, 2, 17, 33, 4, 90, 1, 6, 12, 303]]
Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    return olmo.save(tmp_path / "tiny")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with reached(tmp_path / "hub", monkeypatch) as server:
        yield server


def refusal(look: Callable[[], object]) -> str:
    with pytest.raises(InputError) as refused:
        look()
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert sentence.count("expected") == 1
    assert len(sentence) < 500
    return sentence


# What is computed: the layout, written down without the code of any Llama


def norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + olmo.EPSILON).sqrt() * weight


def turned(x: Tensor) -> Tensor:
    """[heads, tokens, size]: pair (i, i + size / 2) of token t, as a complex number, turned by t · θ^(−2i / size)."""
    half = x.shape[-1] // 2
    rates = torch.tensor([olmo.THETA ** (-i / half) for i in range(half)], dtype=torch.float64)
    angles = torch.arange(x.shape[-2])[:, None] * rates
    pairs = torch.complex(x[..., :half], x[..., half:]) * torch.exp(1j * angles)
    return torch.cat([pairs.real, pairs.imag], -1)


def forward(tensors: dict[str, Tensor], ids: list[int]) -> tuple[list[Tensor], Tensor]:
    """Hidden states and logits of one document, in float64, token by token over what came before."""
    named = {name.removeprefix("model.transformer."): value.double() for name, value in tensors.items()}
    size = olmo.WIDTH // olmo.HEADS
    x = named["wte.weight"][ids]
    states = [x]
    for layer in range(olmo.LAYERS):
        part = {name.removeprefix(f"blocks.{layer}.").removesuffix(".weight"): value for name, value in named.items()}
        fused = norm(x, part["attn_norm"]) @ part["att_proj"].T
        queries, keys, values = (
            torch.stack([fused[:, start + size * head : start + size * (head + 1)] for head in range(olmo.HEADS)])
            for start in (0, olmo.WIDTH, 2 * olmo.WIDTH)
        )
        queries, keys = turned(queries), turned(keys)
        mixed = torch.zeros_like(x)
        for head in range(olmo.HEADS):
            for token in range(len(ids)):
                scores = keys[head, : token + 1] @ queries[head, token] / math.sqrt(size)
                shares = scores.exp() / scores.exp().sum()
                mixed[token, size * head : size * (head + 1)] = shares @ values[head, : token + 1]
        x = x + mixed @ part["attn_out"].T
        inner = norm(x, part["ff_norm"]) @ part["ff_proj"].T
        up, gate = inner[:, : inner.shape[1] // 2], inner[:, inner.shape[1] // 2 :]
        x = x + (up * gate / (1 + (-gate).exp())) @ part["ff_out"].T
        states.append(x)
    states[-1] = norm(x, named["ln_f.weight"])
    return states, states[-1] @ named["ff_out.weight"].T


def check_states(folder: Path) -> None:
    model = load_model(resolve(str(folder)), "float32", "cpu")
    ids = torch.tensor(IDS)
    with torch.inference_mode():
        hidden = all_hidden(model.module, ids, torch.ones_like(ids))
        logits = model.module(input_ids=ids).logits
    assert len(hidden) == olmo.LAYERS + 1
    for document, tokens in enumerate(IDS):
        states, expected = forward(olmo.weights(), tokens)
        for layer, state in enumerate(states):
            torch.testing.assert_close(hidden[layer][document].double(), state, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(logits[document].double(), expected, atol=1e-5, rtol=1e-5)


def test_hidden_states_and_logits_are_those_of_the_layout_written_down(folder: Path) -> None:
    check_states(folder)


def test_shards_are_one_model(folder: Path) -> None:
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    places = {}
    for number, half in enumerate((sorted(tensors)[::2], sorted(tensors)[1::2]), 1):
        shard = f"model-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in half}, folder / shard)
        places |= dict.fromkeys(half, shard)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    check_states(folder)


@pytest.mark.parametrize("left_out", ["norm_after", "embedding_layer_norm", "n_kv_heads", "multi_query_attention"])
def test_a_setting_whose_default_is_the_layout_may_be_left_out(folder: Path, left_out: str) -> None:
    config = {name: value for name, value in olmo.CONFIG.items() if name != left_out}
    assert llama_config(config, "tiny") == llama_config(olmo.CONFIG, "tiny")


def test_sizes_may_be_given_in_either_form() -> None:
    expected = llama_config(olmo.CONFIG, "tiny")
    inner = olmo.RATIO * olmo.WIDTH
    assert llama_config({**olmo.CONFIG, "mlp_hidden_size": inner, "mlp_ratio": 99}, "tiny") == expected
    rows = {"vocab_size": olmo.ROWS, "embedding_size": None}
    assert llama_config({**olmo.CONFIG, **rows}, "tiny") == expected


def test_the_sixty_million_of_datadecide_are_counted_from_the_config() -> None:
    shape = {"d_model": 384, "n_heads": 12, "n_layers": 16, "mlp_ratio": 8, "vocab_size": 50_280,
             "embedding_size": 50_304, "max_sequence_length": 2048}  # fmt: skip
    read = llama_config({**olmo.CONFIG, **shape}, "tiny")
    assert read["intermediate_size"] == 8 * 384 // 2
    assert (read["hidden_size"], read["vocab_size"], read["max_position_embeddings"]) == (384, 50_304, 2048)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_number_format_asked_for_is_the_one_that_runs(folder: Path, dtype: str) -> None:
    model = load_model(resolve(str(folder)), dtype, "cpu")
    assert model.dtype == dtype
    assert {str(weight.dtype) for weight in model.module.parameters()} == {f"torch.{dtype}"}


# What is refused

OTHER: dict[str, Any] = {
    "activation_type": "gelu", "alibi": True, "attention_layer_norm": True, "bias_for_layer_norm": True,
    "block_group_size": 2, "block_type": "parallel", "clip_qkv": 8.0, "embedding_layer_norm": True,
    "include_bias": True, "layer_norm_type": "default", "layer_norm_with_affine": False,
    "multi_query_attention": True, "n_kv_heads": 1, "norm_after": True, "rope": False, "scale_logits": True,
    "weight_tying": True,
}  # fmt: skip


@pytest.mark.parametrize("name", list(OTHER))
@pytest.mark.parametrize("odd", [False, True])
def test_another_layout_is_refused_everywhere_in_one_sentence(tmp_path: Path, name: str, odd: bool) -> None:
    value = [OTHER[name]] if odd else OTHER[name]
    folder = olmo.save(tmp_path / "tiny", **{name: value})
    said = refusal(lambda: resolve(str(folder)))
    assert said == refusal(lambda: preflight(EstimateSpec(model=str(folder))))
    assert f"has {name} {value!r} in its config" in said
    assert "the layout of DataDecide: choose" in said


@pytest.mark.parametrize("name", ["include_bias", "layer_norm_type", "rope", "weight_tying"])
def test_a_setting_whose_default_is_another_layout_must_be_given(name: str) -> None:
    config = {key: value for key, value in olmo.CONFIG.items() if key != name}
    assert f"has no {name} in its config" in refusal(lambda: llama_config(config, "tiny"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_model": 18}, "16 heads|18 and 2 heads"),
        ({"d_model": "16"}, "gives d_model as '16'"),
        ({"n_layers": 10**9}, "gives n_layers as 1000000000"),
        ({"n_heads": 3}, "3 heads"),
        ({"n_heads": None}, "n_heads as None"),
        ({"embedding_size": 299}, "embedding_size as 299"),
        ({"mlp_ratio": 6.5}, "mlp_ratio as 6.5"),
        ({"mlp_hidden_size": 95}, "95 rows"),
        ({"layer_norm_eps": 0}, "layer_norm_eps as 0"),
        ({"rope_theta": None}, "rope_theta as None"),
        ({"rope_theta": math.inf}, "rope_theta as inf"),
        ({"max_sequence_length": None}, "max_sequence_length as None"),
    ],
)
def test_sizes_that_no_model_has_are_refused(changes: dict[str, Any], words: str) -> None:
    said = refusal(lambda: llama_config({**olmo.CONFIG, **changes}, "tiny"))
    assert any(word in said for word in words.split("|")), said


def without(name: str) -> Change:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


TENSORS: dict[str, tuple[Change, str]] = {
    "a tensor more": (lambda tensors: tensors | {"model.transformer.wpe.weight": torch.zeros(128, olmo.WIDTH)},
                      "1 tensors that the layout of DataDecide does not have, model.transformer.wpe.weight"),
    "a bias": (lambda tensors: tensors | {olmo.LAST + "att_proj.bias": torch.zeros(3 * olmo.WIDTH)}, "att_proj.bias"),
    "a layer more": (lambda tensors: tensors | {"model.transformer.blocks.3.ff_norm.weight": torch.ones(olmo.WIDTH)},
                     "blocks.3.ff_norm"),
    "no head": (without("model.transformer.ff_out.weight"), "lacks 1 tensors of its config, model.transformer.ff_out"),
    "no norm": (without(olmo.LAST + "attn_norm.weight"), "attn_norm"),
    "keys of fewer heads": (lambda tensors: tensors | {olmo.LAST + "att_proj.weight": torch.zeros(32, olmo.WIDTH)},
                            "att_proj.weight' of 32 × 16; expected 48 × 16"),
    "a wider layer": (lambda tensors: tensors | {olmo.LAST + "ff_out.weight": torch.zeros(olmo.WIDTH, 96)},
                      "ff_out.weight' of 16 × 96; expected 16 × 48"),
    "whole numbers": (lambda tensors: tensors | {olmo.LAST + "ff_norm.weight": torch.ones(olmo.WIDTH).char()},
                      "of type I8"),
}  # fmt: skip
"""Case → how the tensors are changed, and words of the sentence."""


@pytest.mark.parametrize("name", list(TENSORS))
def test_tensors_that_are_not_those_of_the_config_are_refused(tmp_path: Path, name: str) -> None:
    change, words = TENSORS[name]
    folder = olmo.save(tmp_path / "tiny", change(olmo.weights()))
    said = refusal(lambda: load_model(resolve(str(folder)), "float32", "cpu"))
    assert said == refusal(lambda: preflight(EstimateSpec(model=str(folder))))
    assert words in said


def test_pickles_of_the_format_stay_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "only as pickles, which can run code" in refusal(lambda: resolve(str(folder)))


def test_code_that_comes_with_such_a_model_does_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    folder = olmo.save(tmp_path / "tiny", auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"})
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoTokenizer": ["evil.T", "evil.F"]}}))
    assert load_model(resolve(str(folder)), "float32", "cpu").architecture == "LlamaForCausalLM"
    assert not ran.exists()


# The same everywhere


def test_headers_alone_say_what_the_loaded_model_is(folder: Path) -> None:
    said = preflight(EstimateSpec(model=str(folder), context=64))
    checkpoint = resolve(str(folder))
    model = load_model(checkpoint, "float32", "cpu")
    for name in ("architecture", "parameters", "layers", "width", "vocabulary", "longest_context"):
        assert getattr(said, name) == getattr(model, name)
    assert (said.architecture, said.causal, said.dtype) == ("LlamaForCausalLM", True, "float32")
    assert said.weights == checkpoint.weights == "safetensors"
    assert (said.digest, model.has_head) == (checkpoint.digest, True)
    header = checkpoint.files.format.read_header(LocalFiles(folder, "tiny"), checkpoint.files.names)
    assert header.parameters == sum(value.numel() for value in olmo.weights().values())


@pytest.mark.parametrize("kind", ["OLMoTokenizer", "GPTNeoXTokenizer", None])
def test_the_tokenizer_is_tokenizer_json_whatever_class_is_named(folder: Path, kind: str | None) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": kind}))
    made, expected = load_model(resolve(str(folder)), "float32", "cpu").tokenizer, tiny.tokenizer()
    for text in tiny.texts(8):
        assert made(text)["input_ids"] == expected(text)["input_ids"]
    assert made.is_fast


def test_an_estimate_is_that_of_the_same_model_saved_as_llama(folder: Path, tmp_path: Path) -> None:
    text = tiny.save_text(tmp_path / "text.jsonl")
    spec = EstimateSpec(model=str(folder), corpus=f"file:{text}", documents=24, context=40, draws=3, bins=20, folds=4)
    found = estimate(spec)
    expected = estimate(dataclasses.replace(spec, model=str(olmo.save_llama(tmp_path / "llama"))))
    assert len(found.measures) == len(expected.measures) > 10
    for own, other in zip(found.measures, expected.measures, strict=True):
        nothing = {"value": None, "se_draws": None, "se_documents": None, "draws": None, "folds": None}
        assert dataclasses.replace(own, **nothing) == dataclasses.replace(other, **nothing)
        assert (own.value is None) == (other.value is None)
        assert (own.value or 0) == pytest.approx(other.value or 0, abs=1e-5)
    assert [found.record()["model"][name] for name in ("architecture", "weights", "parameters")] == [
        expected.record()["model"][name] for name in ("architecture", "weights", "parameters")
    ]


def test_an_upload_is_the_folder_without_what_loads_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "evil.C"}}))
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
    with access.as_owner():
        accepted = receive.accept([receive.Part(name, (folder / name).open("rb")) for name in names], "mine")
    assert (accepted.architecture, accepted.left_out) == ("LlamaForCausalLM", ("auto_map",))
    assert accepted.parameters == sum(value.numel() for value in olmo.weights().values())
    check_states_of(accepted.model, folder)
    assert (accepted.path / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def check_states_of(model: str, folder: Path) -> None:
    ids = torch.tensor(IDS)
    with torch.inference_mode():
        own, other = (load_model(resolve(name), "float32", "cpu").module(input_ids=ids).logits
                      for name in (model, str(folder)))  # fmt: skip
    assert torch.equal(own, other)


@pytest.mark.parametrize("name", ["clip_qkv", "a tensor more"])
def test_an_upload_is_refused_for_the_same_reason(folder: Path, name: str) -> None:
    if name in TENSORS:
        save_file(TENSORS[name][0](load_file(folder / "model.safetensors")), folder / "model.safetensors")
    else:
        (folder / "config.json").write_text(json.dumps({**olmo.CONFIG, name: OTHER[name]}))
    words = TENSORS[name][1] if name in TENSORS else "has clip_qkv 8.0"
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
    with access.as_owner(), pytest.raises(InputError, match=words):
        receive.accept([receive.Part(name, (folder / name).open("rb")) for name in names], "mine")


def test_a_revision_of_the_hub_is_read_and_another_layout_fetches_no_weights(hub: Hub, folder: Path) -> None:
    files = files_of(folder)
    other = files | {"config.json": json.dumps({**olmo.CONFIG, "clip_qkv": 8.0}).encode()}
    name, final = "allenai/DataDecide-c4-150M", "step38157-seed-default"
    hub.repos[f"models/{name}"] = Repo({final: files, "main": other})
    assert "has clip_qkv 8.0" in refusal(lambda: resolve(name, "main"))
    assert "model.safetensors" not in hub.downloads()
    said = preflight(EstimateSpec(model=name, revision=final, context=64))
    assert "model.safetensors" not in {line.split()[0] for line in hub.ranges if "bytes=0-" not in line}
    found = resolve(name, final)
    assert (found.name, found.revision, found.step) == (name, final, 38_157)
    assert found.tokens == 38_157 * 192 * 2048
    assert said.digest == found.digest
    fetched = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    assert said.download == sum(len(files[each]) for each in fetched)
    check_states_of(str(found.path), folder)


def test_a_sweep_tells_its_cost_from_the_headers(hub: Hub, folder: Path, tmp_path: Path) -> None:
    files = files_of(folder)
    steps = [f"step{step}-seed-default" for step in (0, 1250, 2500)]
    hub.repos["models/allenai/DataDecide-c4-150M"] = Repo({step: {**files, "of": step.encode()} for step in steps})
    path = tmp_path / "r.toml"
    path.write_text('[[model]]\nid = "allenai/DataDecide-c4-150M"\nrevisions = "step*-seed-default"\n')
    specs = list(sweep.load(path).specs())
    assert [spec.revision for spec in specs] == steps
    assert all(preflight(dataclasses.replace(spec, context=64)).refusal is None for spec in specs)
    assert not any(line.startswith("GET") and line.endswith("tokenizer.json") for line in hub.requests)
