"""Files that training and other tools leave in the place of a model: read where it is a renaming, else one sentence."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from softh import access
from softh.checkpoints import quantisation
from softh.checkpoints.layouts import renamings
from softh.checkpoints.resolve import resolve
from softh.checkpoints.safetensors_header import TensorInfo
from softh.cli.tables import _without_loss
from softh.cost.preflight import preflight
from softh.errors import InputError
from softh.models.loading import load_model
from softh.spec import EstimateSpec
from softh.uploads import receive
from tests import tiny
from tests.shapes import save

Change = Callable[[Path], object]
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n"
_UPLOADED = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "adapter_config.json")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))


def _logits(model: str) -> torch.Tensor:
    with torch.inference_mode():
        return load_model(resolve(model), "float32", "cpu").module(input_ids=torch.arange(40)[None]).logits


def _upload(folder: Path) -> str:
    parts = [receive.Part(name, (folder / name).open("rb")) for name in _UPLOADED if (folder / name).exists()]
    with access.as_owner():
        return receive.accept(parts).model


def _rename(change: Callable[[str], str], **extra: torch.Tensor) -> Change:
    def apply(folder: Path) -> None:
        weights = {change(name): value.clone() for name, value in load_file(folder / "model.safetensors").items()}
        save_file({**weights, **extra}, folder / "model.safetensors", metadata={"format": "pt"})

    return apply


def _prefix(prefix: str) -> Change:
    return _rename(lambda name: prefix + name)


def _instead(*names: str) -> Change:
    """These files in the place of the weights."""

    def apply(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x" * 10)

    return apply


def _setting(**changes: Any) -> Change:
    def apply(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return apply


def _content(name: str, content: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content)


def _adapter(*removed: str, file: str = "adapter_model.safetensors", **config: Any) -> Change:
    def apply(folder: Path) -> None:
        (folder / "adapter_config.json").write_text(json.dumps(config))
        (folder / file).write_bytes(b"x")
        for name in removed:
            (folder / name).unlink()

    return apply


WRAPPED: dict[str, Change] = {
    "torch.compile": _prefix("_orig_mod."),
    "DDP": _prefix("module."),
    "DDP around torch.compile": _prefix("module._orig_mod."),
    "torch.compile of single layers": _rename(lambda name: name.replace("layers.0.", "layers.0._orig_mod.")),
    "activation checkpointing": _rename(lambda name: name.replace("layers.1.", "layers.1._checkpoint_wrapped_module.")),
    "FSDP": _rename(lambda name: "_fsdp_wrapped_module." + name.replace("layers.0.", "layers.0._fsdp_wrapped_module.")),
    "Lightning": _prefix("model."),
    "Lightning around torch.compile": _prefix("model._orig_mod."),
    "Fabric": _prefix("_forward_module."),
    "trl's value head": _rename(
        lambda name: f"pretrained_model.{name}", **{"v_head.summary.weight": torch.ones(1, 16)}
    ),
}


@pytest.mark.parametrize("name", list(WRAPPED))
def test_weights_saved_from_inside_a_wrapper_are_those_of_the_model(saved: Path, folder: Path, name: str) -> None:
    WRAPPED[name](folder)
    assert torch.equal(_logits(str(folder)), _logits(str(saved)))
    assert preflight(EstimateSpec(model=str(folder))).layers == 2
    assert torch.equal(_logits(_upload(folder)), _logits(str(saved)))


@pytest.mark.parametrize("kind", ["gpt2", "olmo2", "cohere"])
def test_other_architectures_lose_their_wrapper_too(tmp_path: Path, kind: str) -> None:
    plain, wrapped = save(tmp_path / "plain", kind), save(tmp_path / "wrapped", kind)
    _prefix("module._orig_mod.")(wrapped)
    assert torch.equal(_logits(str(wrapped)), _logits(str(plain)))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mamba", "bert"])
def test_plain_weights_are_not_renamed(tmp_path: Path, kind: str) -> None:
    names = load_file(save(tmp_path / "tiny", kind) / "model.safetensors")
    assert renamings(names, "tiny") == {}


NO_COMMAND = "save_pretrained"
REFUSED: dict[str, tuple[Change, str, str]] = {
    "FSDP": (_instead("pytorch_model_fsdp_0/__0_0.distcp", "optimizer_0/__0_0.distcp", "rng_state_0.pth",
                      "training_args.bin"), "shards of FSDP", "`accelerate merge-weights {}/pytorch_model_fsdp_0 {}`"),
    "DCP": (_instead("__0_0.distcp", ".metadata"), "of torch.distributed.checkpoint", "dcp_to_torch {} model.pt"),
    "DCP in a folder": (_instead("step-10/__0_0.distcp"), "torch.distributed.checkpoint", "dcp_to_torch {}/step-10"),
    "Megatron": (_instead("common.pt", "__0_0.distcp"), "shards of Megatron", "tools/checkpoint/convert.py"),
    "Megatron, older": (_instead("mp_rank_00/model_optim_rng.pt"), "shards of Megatron", "convert.py"),
    "DeepSpeed": (_instead("zero_to_fp32.py", "latest", "global_step10/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"),
                  "shards of DeepSpeed", "`python {}/zero_to_fp32.py {} {} --safe_serialization`"),
    "DeepSpeed without its script": (_instead("global_step10/mp_rank_00_model_states.pt"), "DeepSpeed", "zero_to_fp32"),
    "ZeRO-3 placeholders": (
        lambda folder: save_file({name: torch.empty(0) if "layers" in name else value for name, value in
                                  load_file(folder / "model.safetensors").items()}, folder / "model.safetensors"),
        "placeholders of DeepSpeed ZeRO-3", "zero_to_fp32.py"),
    "state of a trainer alone": (_instead("training_args.bin", "optimizer.pt", "rng_state_0.pth", "scheduler.pt"),
                                 "has no weights", "add them"),
    "pickles": (_instead("pytorch_model.bin", "training_args.bin"), "only as pickles, which can run code", "convert"),
    "pickles merged from DeepSpeed": (_instead("pytorch_model.bin", "zero_to_fp32.py"), "only as pickles",
                                      "convert"),
    "layout of the authors": (_instead("consolidated.safetensors", "params.json"), "consolidated", "_to_hf.py"),
    "no index": (_instead("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
                 "no model.safetensors.index.json", "add the index"),
    "another name": (_instead("weights.safetensors"), "a name that transformers does not look for", "rename the file"),
    "NeMo": (_instead("tiny.nemo"), "archive of NeMo", "export it"),
    "LFS pointer of the weights": (_content("model.safetensors", _POINTER), "is a Git LFS pointer", "`git lfs pull`"),
    "LFS pointer of the tokenizer": (_content("tokenizer.json", _POINTER), "tokenizer.json is a Git LFS pointer",
                                     "`git lfs pull`"),
    "LFS pointer of the config": (_content("config.json", _POINTER), "config.json is a Git LFS", "`git lfs pull`"),
    "git-annex pointer": (_content("model.safetensors", b"/annex/objects/SHA256E-s1--a.safetensors\n"), "git-annex",
                          "`git annex get .`"),
    "web page": (_content("model.safetensors", b"<!DOCTYPE html><html>Sign in</html>"), "is a web page", "download"),
    "error of a server": (_content("model.safetensors", b'<?xml version="1.0"?><Error/>'), "error message", "download"),
    "link to nothing": (lambda folder: ((folder / "model.safetensors").unlink(),
                                        (folder / "model.safetensors").symlink_to("../../blobs/abc")),
                        "a link to a file that is not there", "following links"),
    "sentencepiece": (lambda folder: (folder / "tokenizer.json").rename(folder / "tokenizer.model"),
                      "only as tokenizer.model, which needs the package sentencepiece", "`pip install sentencepiece"),
    "sentencepiece of T5": (lambda folder: (folder / "tokenizer.json").rename(folder / "spiece.model"),
                            "only as spiece.model", "`pip install sentencepiece"),
    "tekken": (lambda folder: (folder / "tokenizer.json").rename(folder / "tekken.json"), "only as tekken.json",
               NO_COMMAND),
    "tiktoken": (lambda folder: (folder / "tokenizer.json").rename(folder / "qwen.tiktoken"), "only as qwen.tiktoken",
                 NO_COMMAND),
    "encoder with a decoder": (_setting(model_type="t5", is_encoder_decoder=True, d_model=16, num_layers=2),
                               "is an encoder with a decoder (t5)", "choose a decoder or an encoder"),
    "adapter not merged": (_rename(lambda name: name, **{"base.q_proj.lora_A.default.weight": torch.ones(2, 2)}),
                           "a LoRA adapter that was not merged", "merge_and_unload"),
    "MLX": (_setting(quantization={"group_size": 64, "bits": 4}), "quantised by MLX", "before quantisation"),
    "unknown quantisation": (_setting(quantization_config={"quant_method": "other"}), "quantised by 'other'", "before"),
    "bitsandbytes of old": (_setting(quantization_config={"load_in_4bit": True}), "quantised by bitsandbytes",
                            "`pip install bitsandbytes`"),
    **{
        name: (_setting(quantization_config={"quant_method": name, "bits": 4}), words, f"`pip install {packages}`")
        for name, words, packages in [
            ("gptq", "quantised by GPTQ", "optimum gptqmodel"), ("awq", "quantised by AWQ", "gptqmodel"),
            ("bitsandbytes", "quantised by bitsandbytes", "bitsandbytes"),
            ("compressed-tensors", "quantised by compressed-tensors", "compressed-tensors"),
            ("torchao", "quantised by torchao", "torchao"), ("hqq", "quantised by HQQ", "hqq"),
            ("auto-round", "quantised by auto-round", "auto-round"), ("quark", "quantised by quark", "quark"),
        ]
    },
}  # fmt: skip
"""Case → how the folder is changed, what the sentence says it is, and the remedy with the folder as {}."""


@pytest.mark.parametrize("name", list(REFUSED))
def test_command_line_and_preflight_refuse_in_the_same_sentence(folder: Path, name: str) -> None:
    change, words, remedy = REFUSED[name]
    change(folder)
    sentences = []
    for look in (lambda: load_model(resolve(str(folder)), "float32", "cpu"),
                 lambda: preflight(EstimateSpec(model=str(folder)))):  # fmt: skip
        with pytest.raises(InputError) as refusal:
            look()
        sentences.append(str(refusal.value))
    assert sentences[0] == sentences[1]
    assert words in sentences[0]
    assert remedy.replace("{}", str(folder)) in sentences[0]
    assert sentences[0].count("expected") == 1
    assert "check the files" not in sentences[0]


@pytest.mark.parametrize("name", ["LFS pointer of the weights", "LFS pointer of the tokenizer", "git-annex pointer",
                                  "LFS pointer of the config", "web page", "ZeRO-3 placeholders",
                                  "encoder with a decoder", "adapter not merged"])  # fmt: skip
def test_an_upload_is_refused_for_the_same_reason(folder: Path, name: str) -> None:
    change, words, _ = REFUSED[name]
    change(folder)
    # T5 is refused as no language model, before its sizes are read.
    words = "language model" if name == "encoder with a decoder" else words
    with pytest.raises(InputError, match=re.escape(words)):
        _upload(folder)


def test_an_archive_of_shards_is_refused_for_the_same_reason(folder: Path, tmp_path: Path) -> None:
    REFUSED["FSDP"][0](folder)
    archive = Path(shutil.make_archive(str(tmp_path / "run"), "zip", folder.parent, folder.name))
    with access.as_owner(), archive.open("rb") as file, pytest.raises(InputError, match="shards of FSDP"):
        receive.accept([receive.Part("run.zip", file)])


# Adapters

BASE, BOTH = ("config.json", "model.safetensors"), ()
ADAPTERS: dict[str, tuple[Change, tuple[str, ...]]] = {
    "alone": (_adapter(*BASE, peft_type="LORA", base_model_name_or_path="acme/base"), (
        "is an adapter of acme/base, not a model", "M.from_pretrained('{}').merge_and_unload()",
        "T.from_pretrained('acme/base')")),
    "beside its base": (_adapter(peft_type="LORA", base_model_name_or_path="acme/base"), (
        "holds a model and an adapter of acme/base beside it", "merge_and_unload", "move the adapter away")),
    "as a pickle": (_adapter(*BASE, file="adapter_model.bin", peft_type="LORA"), ("is an adapter", "merge_and_unload")),
    "DoRA": (_adapter(*BASE, peft_type="LORA", use_dora=True), ("merge_and_unload",)),
    "IA3": (_adapter(*BASE, peft_type="IA3", base_model_name_or_path="acme/base"), ("merge_and_unload",)),
    "prompt tuning": (_adapter(*BASE, peft_type="PROMPT_TUNING"), ("trained as a prompt, which cannot be merged",)),
    "MLX": (_adapter(*BASE, file="adapters.safetensors", fine_tune_type="lora", model="acme/base"), (
        "`mlx_lm.fuse --model acme/base --adapter-path {}",)),
    "AdapterHub": (_adapter(*BASE, file="pytorch_adapter.bin", model_name="acme/base", config={}), (
        "the library that trained it",)),
    "a base whose name is code": (_adapter(*BASE, peft_type="LORA", base_model_name_or_path="x'); import os; ('"), (
        "is an adapter, not a model", "T.from_pretrained('{}')")),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_an_adapter_is_never_measured_as_its_base(folder: Path, name: str) -> None:
    change, words = ADAPTERS[name]
    change(folder)
    for look in (lambda: resolve(str(folder)), lambda: preflight(EstimateSpec(model=str(folder)))):
        with pytest.raises(InputError) as refusal:
            look()
        assert all(part.replace("{}", str(folder)) in str(refusal.value) for part in words)
        assert "import os" not in str(refusal.value)


def test_an_upload_with_an_adapter_is_refused_too(folder: Path) -> None:
    ADAPTERS["beside its base"][0](folder)
    with pytest.raises(InputError, match="holds a model and an adapter beside it"):
        _upload(folder)


# Packed weights


def test_weights_of_mxfp4_are_counted_unpacked(tmp_path: Path) -> None:
    shape = {
        "vocab_size": 300, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1,
        "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    folder = tmp_path / "oss"
    AutoModelForCausalLM.from_config(transformers.GptOssConfig(**shape)).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    packed = {name: value for name, value in weights.items() if not re.search(r"experts\.(gate_up|down)_proj$", name)}
    for name, value in weights.items():
        if name not in packed:
            experts, inner, outer = value.shape
            packed[f"{name}_blocks"] = torch.randint(0, 256, (experts, outer, inner // 32, 16), dtype=torch.uint8)
            packed[f"{name}_scales"] = torch.full((experts, outer, inner // 32), 120, dtype=torch.uint8)
    save_file(packed, folder / "model.safetensors", metadata={"format": "pt"})
    _setting(quantization_config={"quant_method": "mxfp4"})(folder)
    looked = preflight(EstimateSpec(model=str(folder)))
    assert looked.parameters == sum(value.numel() for value in weights.values())
    assert looked.parameters == load_model(resolve(str(folder)), "float32", "cpu").parameters


@pytest.mark.parametrize(
    ("config", "tensors", "expected"),
    [
        ({"quant_method": "gptq", "bits": 4}, {"q.qweight": ("I32", (8, 64)), "q.qzeros": ("I32", (1, 8)),
                                               "q.scales": ("F16", (1, 64)), "q.g_idx": ("I32", (64,))}, 64 * 64),
        ({"quant_method": "awq", "w_bit": 4}, {"q.qweight": ("I32", (64, 8)), "q.scales": ("F16", (1, 64))}, 64 * 64),
        ({"quant_method": "gptq", "bits": 8}, {"q.qweight": ("I32", (16, 64))}, 64 * 64),
        ({"load_in_4bit": True}, {"q.weight": ("U8", (2048, 1)), "q.weight.absmax": ("F32", (64,)),
                                  "q.weight.quant_state.bitsandbytes__nf4": ("U8", (80,))}, 64 * 64),
        ({"load_in_8bit": True}, {"q.weight": ("I8", (64, 64)), "q.SCB": ("F32", (64,))}, 64 * 64),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4}}}},
         {"q.weight_packed": ("I32", (64, 8)), "q.weight_scale": ("BF16", (64, 1)), "q.weight_shape": ("I64", (2,))},
         64 * 64),
        ({"quant_method": "fp8"}, {"q.weight": ("F8_E4M3", (64, 64)), "q.weight_scale_inv": ("F32", (1, 1))}, 64 * 64),
        (None, {"q.weight": ("F32", (64, 64)), "q.scales": ("F32", (3,))}, 64 * 64 + 3),
    ],
    ids=["gptq", "awq", "gptq 8", "nf4", "int8", "compressed", "fp8", "plain"],
)  # fmt: skip
def test_packed_weights_are_counted_apart_and_scales_left_out(
    config: dict[str, Any] | None, tensors: dict[str, tuple[str, tuple[int, ...]]], expected: int
) -> None:
    infos = {name: TensorInfo(dtype, shape, 0, 0) for name, (dtype, shape) in tensors.items()}
    assert quantisation.parameters({"quantization_config": config} if config else {}, infos) == expected


# Nested configurations, and layers that are counted otherwise

_TEXT = {
    "vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": None, "eos_token_id": None,
    "pad_token_id": None,
}  # fmt: skip
_VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
           "image_size": 16, "patch_size": 8}  # fmt: skip
_SECTIONS = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}}
NESTED: dict[str, Callable[[], Any]] = {
    "llava": lambda: transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**_TEXT), vision_config=transformers.CLIPVisionConfig(**_VISION),
        image_token_index=299),
    "qwen2_vl": lambda: transformers.Qwen2VLConfig(
        text_config={**_TEXT, **_SECTIONS}, image_token_id=298, video_token_id=297, vision_start_token_id=296,
        vision_end_token_id=295, vision_config={"depth": 3, "embed_dim": 16, "hidden_size": 16, "num_heads": 2,
                                                "patch_size": 4, "spatial_merge_size": 1, "temporal_patch_size": 2}),
    "gemma3": lambda: transformers.Gemma3Config(
        text_config={**_TEXT, "head_dim": 8}, vision_config=_VISION, mm_tokens_per_image=4, image_token_index=299,
        boi_token_index=298, eoi_token_index=297),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(NESTED))
def test_a_model_of_text_and_images_is_the_same_everywhere(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / kind
    AutoModelForImageTextToText.from_config(NESTED[kind]()).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    _agree(folder, layers=2)


def test_nemotron_h_is_the_same_everywhere_in_both_spellings(tmp_path: Path) -> None:
    config = transformers.NemotronHConfig(
        **{**_TEXT, "num_hidden_layers": 3}, layers_block_type=["mamba", "attention", "mlp"], mamba_num_heads=4,
        mamba_head_dim=8, ssm_state_size=8, n_groups=2, head_dim=8,
    )  # fmt: skip
    folder = tmp_path / "new"
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    older = Path(shutil.copytree(folder, tmp_path / "older"))
    written = json.loads((older / "config.json").read_text())
    del written["layers_block_type"]
    written |= {"num_hidden_layers": 3, "hybrid_override_pattern": "M*-"}
    (older / "config.json").write_text(json.dumps(written))
    for each in (folder, older):
        _agree(each, layers=3)


def _agree(folder: Path, layers: int) -> None:
    """Command line, preflight and upload read the same model."""
    loaded = load_model(resolve(str(folder)), "float32", "cpu")
    uploaded = load_model(resolve(_upload(folder)), "float32", "cpu")
    looked = preflight(EstimateSpec(model=str(folder)))
    assert loaded.layers == uploaded.layers == looked.layers == layers
    assert loaded.parameters == uploaded.parameters == looked.parameters
    assert loaded.has_head == uploaded.has_head == looked.causal
    ids = torch.arange(20)[None]
    with torch.inference_mode():
        first, second = (model.module.base_model(input_ids=ids)[0] for model in (loaded, uploaded))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("architecture", "words"),
    [("LlamaForCausalLM", "bits per byte not measured"), ("LlavaModel", "text and images is read without its head"),
     ("Qwen2VLModel", "text and images is read without its head"), ("BertModel", "no language-model head")],
)  # fmt: skip
def test_why_there_are_no_bits_per_byte_is_told_truly(architecture: str, words: str) -> None:
    assert words in _without_loss(architecture)


def test_every_test_that_the_table_of_formats_names_is_there() -> None:
    root = Path(__file__).parent
    table = (root.parent / "docs" / "formats.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", table))
    sources = {file: (root / file).read_text(encoding="utf-8") for file, _ in named}
    assert len(named) > 20
    assert not {f"{file}::{name}" for file, name in named if f"def {name}(" not in sources[file]}
