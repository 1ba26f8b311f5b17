"""Hidden states are those of the model, whatever the batch; remembered exactly, safely, and within bounds."""

import dataclasses
import functools
import json
import pickle
import resource
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diskcache
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, T5Config, ViTConfig

from softh.checkpoints.resolve import resolve
from softh.errors import InputError
from softh.models import cache as memo
from softh.models import forward, hidden_states
from softh.models.hidden_states import Cache, HiddenStates, LoadedModel, SafeDisk, load_model, open_cache
from softh.text.corpus import Corpus, TokenizedCorpus, tokenize
from tests import shapes
from tests.tiny import save_model, texts

KINDS = [*shapes.CAUSAL, "bert"]
CLOSE = {"rtol": 1e-4, "atol": 2e-6}
"""A batch adds numbers in another order than a document alone; nothing more may differ."""


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shapes")


@functools.cache
def _model(folder: Path, kind: str) -> LoadedModel:
    path = folder / kind
    return load_model(resolve(str(shapes.save(path, kind))), device="cpu")


def _windows(model: LoadedModel, count: int = 9) -> TokenizedCorpus:
    """Documents of different lengths."""
    documents = [text[: 40 + 25 * place] for place, text in enumerate(texts(count))]
    return tokenize(Corpus("some", tuple(documents), "", ""), model.tokenizer, 48, 2)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with open_cache(tmp_path / "cache") as made:
        yield made


def _quiet(phase: str, done: int, total: int) -> None:
    pass


def _read(states: HiddenStates, layers: list[int] | None = None) -> dict[int, dict[int, Tensor]]:
    """document → layer → its hidden states."""
    found: dict[int, dict[int, Tensor]] = {}
    for documents, hidden in states.read(range(states.layers) if layers is None else layers):
        lengths = [len(states.tokenized.ids[document]) for document in documents]
        for layer, rows in hidden.items():
            for document, own in zip(documents, rows.split(lengths), strict=True):
                found.setdefault(int(document), {})[layer] = own
    return found


def _alone(model: LoadedModel, data: TokenizedCorpus, document: int) -> list[Tensor]:
    """What enters the first layer, what every layer but the last gives, and what the norm after it gives."""
    base = model.module.base_model
    layers = next(part for part in base.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == 2)
    seen: list[Tensor] = []
    hooks = [
        layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0])),
        layers[0].register_forward_hook(lambda _, __, output: seen.append(output)),
    ]
    fed = [*data.prefix, *data.ids[document].tolist(), *data.suffix]
    with torch.inference_mode():
        seen.append(base(input_ids=torch.tensor([fed])).last_hidden_state)
    for hook in hooks:
        hook.remove()
    return [states[0] if isinstance(states, tuple) else states for states in seen]


# What the numbers are


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_are_embedding_layers_and_final_norm_of_each_document(folders: Path, kind: str) -> None:
    model = _model(folders, kind)
    data = _windows(model)
    states = HiddenStates(model, data, "x", cache=None, batch_tokens=128)
    assert states.layers == model.layers + 1 == 3
    found = _read(states)
    for document, ids in enumerate(data.ids):
        alone = _alone(model, data, document)
        assert len(alone) == states.layers
        for layer in range(states.layers):
            own = alone[layer][0, len(data.prefix) : len(data.prefix) + len(ids)]
            torch.testing.assert_close(found[document][layer], own, **CLOSE)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3", "olmo2", "cohere", "bert"])
def test_the_side_of_the_padding_does_not_matter(folders: Path, kind: str) -> None:
    model = _model(folders, kind)
    data = _windows(model)
    left = dataclasses.replace(model, tokenizer=SimpleNamespace(padding_side="left"))
    found = _read(HiddenStates(left, data, "x", cache=None))
    fed = [torch.tensor([*data.prefix, *ids.tolist(), *data.suffix]) for ids in data.ids]
    longest = max(map(len, fed))
    ids = torch.stack([torch.nn.functional.pad(row, (longest - len(row), 0)) for row in fed])
    mask = torch.stack([(torch.arange(longest) >= longest - len(row)).long() for row in fed])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.inference_mode():
        padded = model.module.base_model(
            input_ids=ids, attention_mask=mask, position_ids=positions, output_hidden_states=True
        ).hidden_states
    for document, tokens in enumerate(data.ids):
        stop = longest - len(data.suffix)
        for layer in range(3):
            own = padded[layer][document, stop - len(tokens) : stop]
            torch.testing.assert_close(found[document][layer], own, **CLOSE)


@pytest.mark.parametrize("batch_tokens", [1, 64, 200, 10**6])
def test_every_document_is_in_one_block_of_bounded_size(folders: Path, batch_tokens: int) -> None:
    model = _model(folders, "bert")
    data = _windows(model)
    blocks = HiddenStates(model, data, "x", cache=None, batch_tokens=batch_tokens).blocks
    assert sorted(np.concatenate(blocks)) == list(range(len(data.ids)))
    for block in blocks:
        assert len(block) == 1 or len(block) * (2 + max(len(data.ids[d]) for d in block)) <= batch_tokens


@pytest.mark.parametrize("kind", list(shapes.CAUSAL))
def test_the_loss_is_that_of_the_model_s_own_logits(folders: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(folders, kind)
    assert model.has_head
    assert model.plain_head == (kind != "cohere")
    data = _windows(model)
    monkeypatch.setitem(forward.LOGITS, "cpu", 7 * model.vocabulary)  # slices shorter than a document
    states = HiddenStates(model, data, "x", cache=None, batch_tokens=128)
    assert states.nll is None
    for _ in states.read([0]):
        pass
    assert states.nll is not None
    assert states.nll.dtype == np.float64
    for document, ids in enumerate(data.ids):
        fed = torch.tensor([[*data.prefix, *ids.tolist()]])
        with torch.inference_mode():
            logits = model.module(input_ids=fed).logits[0, :-1].double()
        own = torch.nn.functional.cross_entropy(logits, fed[0, 1:], reduction="sum")
        assert len(logits) == len(ids) - (not data.prefix)
        assert states.nll[document] == pytest.approx(own.item(), rel=1e-5)


def test_an_encoder_has_hidden_states_and_no_loss(folders: Path, cache: Cache) -> None:
    model = _model(folders, "bert")
    states = HiddenStates(model, _windows(model), "x", cache=cache)
    states.fill(_quiet)
    assert (model.has_head, states.nll, model.architecture) == (False, None, "BertModel")


def test_a_model_without_its_head_is_loaded_without_one(folders: Path, tmp_path: Path) -> None:
    model = _model(folders, "llama")
    model.module.base_model.save_pretrained(tmp_path / "bare")
    model.tokenizer.save_pretrained(tmp_path / "bare")
    bare = load_model(resolve(str(tmp_path / "bare")), device="cpu")
    assert (bare.has_head, bare.architecture) == (False, "LlamaModel")
    data = _windows(model)
    own, other = _read(HiddenStates(model, data, "x", cache=None)), _read(HiddenStates(bare, data, "x", cache=None))
    assert torch.equal(own[0][2], other[0][2])


# What is recorded


def test_what_is_recorded_is_what_runs(folders: Path) -> None:
    model = _model(folders, "gpt2")
    assert (model.layers, model.width, model.vocabulary) == (2, 16, shapes.VOCABULARY)
    assert (model.dtype, model.device, model.attention) == ("float32", "cpu", "sdpa")
    assert (model.architecture, model.family, model.longest_context) == ("GPT2LMHeadModel", "gpt2", 128)
    tied = model.module.transformer
    assert model.parameters == sum(weight.numel() for weight in tied.parameters())


def test_the_dtype_asked_for_is_the_one_that_runs(folders: Path, cache: Cache) -> None:
    _model(folders, "llama")
    narrow = load_model(resolve(str(folders / "llama")), dtype="bfloat16", device="cpu")
    assert narrow.dtype == "bfloat16"
    assert {weight.dtype for weight in narrow.module.parameters()} == {torch.bfloat16}
    states = HiddenStates(narrow, _windows(narrow), "x", cache=cache)
    states.fill(_quiet)
    fresh = _read(HiddenStates(narrow, states.tokenized, "x", cache=None))
    for document, layers in _read(states).items():
        for layer, rows in layers.items():
            assert rows.dtype == torch.bfloat16
            assert torch.equal(rows, fresh[document][layer])
    tokens = sum(map(len, states.tokenized.ids))
    assert states.bytes_needed == tokens * 3 * 16 * 2


# What is remembered


def _fill(model: LoadedModel, cache: Cache, digest: str = "x") -> HiddenStates:
    states = HiddenStates(model, _windows(model), digest, cache=cache, batch_tokens=128)
    assert states.cached
    states.fill(_quiet)
    return states


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_second_estimate_runs_no_forward_pass(folders: Path, cache: Cache, kind: str) -> None:
    model = _model(folders, kind)
    first = _fill(model, cache)
    assert first.forward_passes == len(first.blocks) > 1
    second = _fill(model, cache)
    before, after = _read(first), _read(second)
    assert second.forward_passes == 0
    assert all(torch.equal(before[d][layer], after[d][layer]) for d in before for layer in before[d])
    if first.nll is not None and second.nll is not None:
        assert first.nll.tolist() == second.nll.tolist()


def test_progress_counts_every_block(folders: Path, cache: Cache) -> None:
    model = _model(folders, "llama")
    states = HiddenStates(model, _windows(model), "x", cache=cache, batch_tokens=128)
    calls: list[tuple[str, int, int]] = []
    states.fill(lambda *call: calls.append(call))
    count = len(states.blocks)
    assert calls == [("forward passes", done, count) for done in range(count + 1)]


def test_whatever_changes_the_values_is_computed_anew(
    folders: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(folders, "llama")
    data = _windows(model)
    _fill(model, cache)
    shorter = tokenize(Corpus("some", tuple(texts(9)), "", ""), model.tokenizer, 24, 2)
    narrow = load_model(resolve(str(folders / "llama")), dtype="bfloat16", device="cpu")
    eager = dataclasses.replace(model, attention="eager")
    for changed in (
        HiddenStates(model, data, "y", cache=cache, batch_tokens=128),
        HiddenStates(model, shorter, "x", cache=cache, batch_tokens=128),
        HiddenStates(model, data, "x", cache=cache, batch_tokens=256),
        HiddenStates(narrow, data, "x", cache=cache, batch_tokens=128),
        HiddenStates(eager, data, "x", cache=cache, batch_tokens=128),
    ):
        changed.fill(_quiet)
        assert changed.forward_passes == len(changed.blocks)
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    assert _fill(model, cache).forward_passes > 0


def test_an_entry_that_left_the_cache_is_computed_again(folders: Path, cache: Cache) -> None:
    model = _model(folders, "llama")
    states = _fill(model, cache)
    before = _read(states)
    block = 1
    assert cache.delete(states.entry(block, 2))
    again = HiddenStates(model, states.tokenized, "x", cache=cache, batch_tokens=128)
    after = _read(again)
    assert again.forward_passes == 1
    assert all(torch.equal(before[d][layer], after[d][layer]) for d in before for layer in before[d])
    assert states.entry(block, 2) in cache


def test_one_wrong_bit_on_disk_is_noticed(cache: Cache) -> None:
    memo.set_tensor(cache, "some", torch.arange(6.0))
    assert torch.equal(memo.get_tensor(cache, "some"), torch.arange(6.0))
    content = bytearray(cache.get("some"))
    content[-1] ^= 1
    cache.set("some", bytes(content))
    assert memo.get_tensor(cache, "some") is None


@pytest.mark.parametrize(
    "damage", [b"", b"\xff" * 100, memo.save({"": torch.ones(1, 1)}), memo.save({"z": torch.ones(1)})]
)
def test_a_damaged_entry_is_computed_again(folders: Path, cache: Cache, damage: bytes) -> None:
    model = _model(folders, "llama")
    states = _fill(model, cache)
    before = _read(states, [1])
    cache.set(states.entry(0, 1), damage)
    after = _read(states, [1])
    assert states.forward_passes == len(states.blocks) + 1
    assert all(torch.equal(before[d][1], after[d][1]) for d in before)


def test_a_changed_bit_of_a_stored_value_is_noticed_and_counted(tmp_path: Path) -> None:
    values = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    with open_cache(tmp_path / "cache") as cache:
        memo.set_tensor(cache, "key", values)
        whole = cache.get("key")
        for bit in range(0, 8 * len(whole), 7):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            cache.set("key", bytes(changed))
            assert memo.get_tensor(cache, "key") is None
        memo.set_tensor(cache, "key", values)
        assert torch.equal(memo.get_tensor(cache, "key"), values)
        cache.set("other", whole)
        assert memo.get_tensor(cache, "other") is None  # the value of another key
    assert memo.count_damaged(tmp_path / "cache") == len(range(0, 8 * len(whole), 7)) + 1


def test_a_run_larger_than_the_bound_streams(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(folders, "llama")
    data = _windows(model)
    monkeypatch.setenv("SOFTH_CACHE_GB", str(1e-6))
    with open_cache(tmp_path / "small") as small:
        states = HiddenStates(model, data, "x", cache=small, batch_tokens=128)
        assert states.bytes_needed > 1074
        assert not states.cached
        states.fill(_quiet)
        assert (states.forward_passes, len(small)) == (0, 0)
        first, second = _read(states), _read(states, [1])
        assert states.forward_passes == 2 * len(states.blocks)
        assert all(torch.equal(first[d][1], second[d][1]) for d in first)
        assert states.nll is not None
        assert len(small) == 0


def test_a_disk_without_room_streams(folders: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(folders, "llama")
    monkeypatch.setattr(hidden_states.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert not HiddenStates(model, _windows(model), "x", cache=cache).cached
    monkeypatch.undo()
    filled = _fill(model, cache)
    monkeypatch.setattr(hidden_states.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    again = HiddenStates(model, filled.tokenized, "x", cache=cache, batch_tokens=128)
    assert again.cached  # nothing is missing, so nothing needs room


def test_estimates_may_share_a_cache(folders: Path, tmp_path: Path) -> None:
    model = _model(folders, "llama")

    def estimate(_: int) -> dict[int, dict[int, Tensor]]:
        with open_cache(tmp_path / "cache") as own:  # a connection of its own, as another process would have
            return _read(_fill(model, own))

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(estimate, range(4))
    alone = _read(HiddenStates(model, _windows(model), "x", cache=None, batch_tokens=128))
    for found in (first, *others):
        assert all(torch.equal(found[d][layer], alone[d][layer]) for d in alone for layer in alone[d])
    with open_cache(tmp_path / "cache") as shared:
        assert _fill(model, shared).forward_passes == 0
        assert not shared.check()


# What is refused


def _broken(folders: Path, target: Path, name: str, place: tuple[int, ...], value: float) -> LoadedModel:
    """The llama with one weight, or one row of weights, overwritten."""
    _model(folders, "llama")
    save_model(target, shapes.CAUSAL["llama"]())
    weights = load_file(target / "model.safetensors")
    weights[name][place] = value
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    return load_model(resolve(str(target)), device="cpu")


@pytest.mark.parametrize(("value", "kind"), [(0.0, "zero"), (float("nan"), "not finite"), (float("inf"), "not finite")])
def test_a_bad_hidden_state_is_named_and_nothing_of_its_block_is_kept(
    folders: Path, tmp_path: Path, cache: Cache, value: float, kind: str
) -> None:
    data = _windows(_model(folders, "llama"))
    document, token = 4, 7
    bad = int(data.ids[document][token])
    first = {d: ids.tolist().index(bad) for d, ids in enumerate(data.ids) if bad in ids}
    model = _broken(folders, tmp_path / "broken", "model.embed_tokens.weight", (bad,), value)
    states = HiddenStates(model, data, "x", cache=cache, batch_tokens=128)
    with pytest.raises(InputError, match=kind) as refusal:
        states.fill(_quiet)
    named = next(d for block in states.blocks for d in block if d in first)
    assert f"layer 0, document {named}, token {first[named]} is" in str(refusal.value)
    failed = next(number for number, block in enumerate(states.blocks) if named in block)
    assert not any(key.split("/")[1] == str(failed) for key in cache)


def test_a_bad_layer_is_named(folders: Path, tmp_path: Path) -> None:
    model = _broken(folders, tmp_path / "broken", "model.layers.1.mlp.down_proj.weight", (3, 3), float("nan"))
    # What follows the last layer is the final norm, so layer 2 is where it shows first.
    with pytest.raises(InputError, match="layer 2, document"):
        list(HiddenStates(model, _windows(model), "x", cache=None).read([0]))


def test_a_context_longer_than_the_model_reads_is_refused(folders: Path) -> None:
    model = _model(folders, "gpt2")
    long = tokenize(Corpus("some", tuple(texts(3)), "", ""), model.tokenizer, 129, 2)
    with pytest.raises(InputError, match="context was 129 tokens and the model reads 128 at most"):
        HiddenStates(model, long, "x", cache=None)


def test_a_tokenizer_of_another_model_is_refused(folders: Path, tmp_path: Path) -> None:
    small = load_model(resolve(str(save_model(tmp_path / "small", shapes.tiny.llama(vocab_size=200)))), device="cpu")
    with pytest.raises(InputError, match=r"token id \d+ and the model has 200 embeddings"):
        HiddenStates(small, _windows(_model(folders, "llama")), "x", cache=None)


def _load_refused(folder: Path, *parts: str) -> None:
    with pytest.raises(InputError) as refusal:
        load_model(resolve(str(folder)), device="cpu")
    assert "\n" not in str(refusal.value)
    for part in parts:
        assert part in str(refusal.value)


def test_weights_that_do_not_fit_their_config_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "tiny")
    weights = load_file(folder / "model.safetensors")
    fewer = {name: tensor for name, tensor in weights.items() if "layers.1.mlp" not in name}
    save_file(fewer, folder / "model.safetensors", {"format": "pt"})
    _load_refused(folder, "tiny lack 3 tensors", "model.layers.1.mlp")
    save_file({**weights, "model.norm.weight": torch.ones(7)}, folder / "model.safetensors", {"format": "pt"})
    _load_refused(folder, "tiny cannot be loaded", "check the files")


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("tokenizer.json", {"model": 3}),
        ("tokenizer_config.json", {"extra_special_tokens": 3}),
        ("config.json", {"num_attention_heads": 0}),
        ("config.json", {"model_type": ["llama"]}),
        ("config.json", {"hidden_act": "x"}),
    ],
)
def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path, file: str, changes: dict[str, Any]) -> None:
    folder = save_model(tmp_path / "tiny")
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | changes))
    _load_refused(folder, "tiny")


def test_a_bug_of_softh_is_not_called_a_bad_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_model(tmp_path / "tiny")
    monkeypatch.setattr("softh.models.loading.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", None)
    with pytest.raises(AttributeError):
        load_model(resolve(str(folder)), device="cpu")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (T5Config(d_model=16, d_ff=16, num_layers=1, num_heads=2, vocab_size=300), "an encoder with a decoder"),
        (ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16), "text alone"),
    ],
)
def test_models_of_another_kind_are_refused(tmp_path: Path, config: T5Config | ViTConfig, reason: str) -> None:
    folder = save_model(tmp_path / "tiny")
    AutoModel.from_config(config).save_pretrained(folder)
    _load_refused(folder, "tiny", reason)


def test_a_device_that_is_not_there_is_refused(folders: Path) -> None:
    _model(folders, "llama")
    for device in ("cuda:7", "abacus"):
        with pytest.raises(InputError, match=f"device was '{device}'"):
            load_model(resolve(str(folders / "llama")), device=device)


# A cache that opens no pickle


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_planted_pickle_never_runs(tmp_path: Path) -> None:
    folder, canary = tmp_path / "cache", tmp_path / "canary"
    with diskcache.Cache(folder) as plain:
        plain["value"] = _Canary(canary)
        plain["large"] = [_Canary(canary), "x" * 100_000]
        plain[("a", "b")] = b"pickled key"
        with sqlite3.connect(folder / "cache.db") as table:
            modes = {mode for (mode,) in table.execute("SELECT mode FROM Cache")}
            table.execute("UPDATE Cache SET key = ? WHERE raw = 0", (pickle.dumps(_Canary(canary)),))
    assert diskcache.core.MODE_PICKLE in modes
    with open_cache(folder) as safe:
        for key in ("value", "large"):
            with pytest.raises(TypeError, match="pickled value"):
                safe.get(key)
            with pytest.raises(TypeError, match="pickled value"):
                memo.get_tensor(safe, key)
        with pytest.raises(TypeError, match="pickled key"):
            list(safe)
    assert not canary.exists()
    with diskcache.Cache(folder) as plain:
        plain.get("value")
    assert canary.exists()  # the canary does sing where nothing stops it


@pytest.mark.parametrize("value", [None, 1.5, 2**70, [1], ("a",), {"a": 1}, np.int64(3), object()])
def test_only_text_bytes_and_integers_are_stored(cache: Cache, value: object) -> None:
    with pytest.raises(TypeError, match="takes text, bytes"):
        cache.set("key", value)
    with pytest.raises(TypeError, match="takes text, bytes"):
        cache.set(value, b"")
    assert len(cache) == 0
    for plain in ("a", b"a", 3, "x" * 10**5, b"x" * 10**5):
        cache[plain] = plain
        assert cache[plain] == plain


def test_the_bound_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOFTH_CACHE_GB", raising=False)
    with open_cache(tmp_path) as made:
        assert made.size_limit == 16 * 2**30
        assert made.eviction_policy == "least-recently-used"
        assert type(made.disk) is SafeDisk
    monkeypatch.setenv("SOFTH_CACHE_GB", "0.5")
    with open_cache(tmp_path) as made:
        assert made.size_limit == 2**29


@pytest.mark.parametrize("bound", ["0", "-1", "much", "nan", "inf", "1e400"])
def test_a_bound_that_is_no_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setenv("SOFTH_CACHE_GB", bound)
    with pytest.raises(InputError, match="SOFTH_CACHE_GB was"):
        open_cache(tmp_path)


def test_a_full_disk_is_said_and_hides_nothing_that_was_stored(folders: Path, cache: Cache) -> None:
    model = _model(folders, "llama")
    _fill(model, cache, "first")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    data = tokenize(Corpus("some", tuple(texts(30)), "", ""), model.tokenizer, 96, 2)
    states = HiddenStates(model, data, "second", cache=cache)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # every file ends here, as on a full disk
    try:
        with pytest.raises(InputError, match=r"cannot be used .* free space"):
            states.fill(_quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _fill(model, cache, "first").forward_passes == 0
    states.fill(_quiet)
    assert not cache.check()


def test_a_folder_that_cannot_hold_a_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    with pytest.raises(InputError, match="cannot be used"):
        open_cache(tmp_path / "file")
    (tmp_path / "cache.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(InputError, match="cannot be used"):
        open_cache(tmp_path)


def test_documents_that_do_not_fit_together_run_in_halves(
    folders: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(folders, "llama")
    whole = _read(_fill(model, cache))
    really, ran = forward.all_hidden, []

    def cramped(module: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> object:
        ran.append(len(ids))
        if len(ids) > 1:
            raise torch.OutOfMemoryError
        return really(module, ids, mask)

    monkeypatch.setattr(forward, "all_hidden", cramped)
    halved = _read(_fill(model, cache, "another"))
    assert max(ran) > 1
    for document, layers in whole.items():
        for layer, states in layers.items():
            torch.testing.assert_close(halved[document][layer], states, rtol=1e-4, atol=1e-5)


def test_one_document_that_does_not_fit_is_a_sentence(
    folders: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object, **more: object) -> object:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(forward, "all_hidden", full)
    with pytest.raises(InputError, match=r"One document of .* does not fit in the memory"):
        _fill(_model(folders, "llama"), cache)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_taken_one_by_one_are_those_taken_together(folders: Path, kind: str) -> None:
    model = _model(folders, kind)
    data, seen = _windows(model), dict[int, Tensor]()
    documents = np.arange(4)
    hidden, nll = forward.forward(model, data, documents, loss=model.has_head)
    assert model.streams
    streamed = forward.stream(
        model, data, documents, lambda layer, z, rows: seen.__setitem__(layer, z[rows].clone()), loss=model.has_head
    )
    assert sorted(seen) == list(range(len(hidden)))
    for layer, states in enumerate(hidden):
        assert torch.equal(seen[layer], states)
    assert (nll is None) == (streamed is None)
    assert nll is None or torch.equal(nll, streamed)
