"""Every way to name a checkpoint, and every way in which one can be missing, unsafe or damaged."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import huggingface_hub.constants
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from softh.checkpoints.files import LocalFiles
from softh.checkpoints.formats import FORMATS, choose, digest
from softh.checkpoints.resolve import Checkpoint, resolve
from softh.checkpoints.revisions import Revision, exact_tokens, family_from_name, log_spaced_revisions, parse_revision
from softh.checkpoints.safetensors_header import read_safetensors
from softh.errors import InputError
from tests.hub import Hub, Repo, commit, files_of, reached
from tests.tiny import save_model

GGUF = next(each for each in FORMATS if each.name == "GGUF")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def write_gguf(path: Path, *, quantised: bool = True) -> Path:
    """A file of the right form with two tensors; no model could run it."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    kind = gguf.LlamaFileType.MOSTLY_Q4_1 if quantised else gguf.LlamaFileType.MOSTLY_F16
    writer.add_file_type(kind)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
    writer.add_tensor("norm", np.ones(8, dtype=np.float32))
    if quantised:
        blocks = np.zeros((2, 20), dtype=np.uint8)
        writer.add_tensor("block", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# Local folders and files


def test_a_folder_is_known_by_name_and_by_what_it_holds(folder: Path) -> None:
    found = resolve(str(folder))
    assert found == Checkpoint(
        "tiny", str(folder), "local", found.digest, folder, "safetensors", None, None, found.files
    )
    assert found.files.names == ("model.safetensors",)
    moved = folder.rename(folder.with_name("moved"))
    assert resolve(str(moved)).digest == found.digest
    (moved / "README.md").write_text("words")
    assert resolve(str(moved)).digest == found.digest


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_digest_follows_every_file_that_decides_numbers(folder: Path, name: str) -> None:
    before = resolve(str(folder)).digest
    content = bytearray((folder / name).read_bytes())
    content[-2:] = b"\n}" if name.endswith("json") else bytes(reversed(content[-2:]))
    (folder / name).write_bytes(content + (b"\n" if name.endswith("json") else b""))
    assert resolve(str(folder)).digest != before


SINGLE = {"config.json": b"{}", "tokenizer.json": b"{}", "vocab.txt": b"a\n", "README.md": b"x",
          "model.safetensors": b"weights"}  # fmt: skip
SHARDED = {name: content for name, content in SINGLE.items() if name != "model.safetensors"} | {
    "model-00001-of-00001.safetensors": b"weights", "model.safetensors.index.json": b"{}"
}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (SINGLE, "7914a496ff7d220b2d2672dc0f88e8030c3434b633f8c2da6e05602c8cfac635"),
        (SHARDED, "e96e55805774c01b64354365802d9bfb1ce3b283a3fedeeb0a9a97f25f6d9266"),
        (
            {"config.json": b"{}", "tokenizer.json": b"{}", "a.gguf": b"weights"},
            "b7255bee388b2377d52fe3384e416cf88e24c3e40183632c2787ed6e06de8e81",
        ),
    ],
    ids=["one file", "shards", "gguf"],
)
def test_the_digest_of_a_set_of_files_never_changes(tmp_path: Path, files: dict[str, bytes], expected: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert digest(tmp_path, choose(set(files), "a")) == expected


def test_a_folder_called_like_a_revision_is_a_step_of_its_parent(folder: Path) -> None:
    step = Path(shutil.copytree(folder, folder.parent / "mine" / "step512"))
    found = resolve(str(step))
    assert (found.name, found.revision, found.step, found.tokens) == ("mine", "step512", 512, None)


def test_shards_are_found_through_their_index(folder: Path) -> None:
    _shard(folder)
    assert resolve(str(folder)).weights == "safetensors"
    (folder / "model-00002-of-00002.safetensors").unlink()
    _refused(str(folder), "lacks model-00002-of-00002.safetensors", "every shard")


def _shard(folder: Path) -> None:
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    names = sorted(tensors)
    halves = names[::2], names[1::2]
    places = {}
    for number, half in enumerate(halves, 1):
        shard = f"model-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in half}, folder / shard, {"format": "pt"})
        places.update(dict.fromkeys(half, shard))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    (folder / "model.safetensors").unlink()


def test_quantised_weights_are_always_called_so(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "Tiny-1B-Q4_1.gguf")
    for source in (path, tmp_path):
        found = resolve(str(source))
        assert (found.name, found.weights) == ("Tiny-1B (dequantised Q4_1)", "dequantised GGUF Q4_1")
        assert (found.path, found.files.names, found.revision) == (tmp_path, (path.name,), "local")
    plain = resolve(str(write_gguf(tmp_path / "other.f16.gguf", quantised=False)))
    assert (plain.name, plain.weights) == ("other (GGUF F16)", "GGUF F16")


def test_a_converter_s_default_name_gives_way_to_the_folder(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "ggml-model-q4_1.gguf")
    assert resolve(str(path)).name == f"{tmp_path.name} (dequantised Q4_1)"


def _refused(model: str, *parts: str, revision: str | None = None) -> None:
    with pytest.raises(InputError) as refusal:
        resolve(model, revision)
    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize("model", ["", "  "])
def test_no_name_is_refused(model: str) -> None:
    _refused(model, "was empty")


@pytest.mark.parametrize("model", ["/no/such/folder", "./nowhere", "~/nowhere", "a/b/c", "model.gguf"])
def test_a_path_that_leads_nowhere_is_not_sought_on_the_hub(model: str) -> None:
    _refused(model, "does not exist", "check the path")


def test_a_local_model_has_no_revision(folder: Path) -> None:
    _refused(str(folder), "'step1'", "only hub models", revision="step1")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [("config.json", "no config.json"), ("tokenizer.json", "no tokenizer"), ("model.safetensors", "no weights")],
)
def test_a_folder_that_lacks_a_part_is_told_which(folder: Path, missing: str, sentence: str) -> None:
    (folder / missing).unlink()
    _refused(str(folder), str(folder), sentence, "expected")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "last.ckpt"])
def test_pickles_are_refused_with_the_reason(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    _refused(str(folder), "pickles, which can run code", "safetensors or GGUF")
    _refused(str(folder / name), "pickles, which can run code")


@pytest.mark.parametrize("name", ["tf_model.h5", "flax_model.msgpack", "model.onnx"])
def test_weights_of_other_libraries_are_refused_with_a_way_to_convert_them(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    _refused(str(folder), "TensorFlow, Flax or ONNX", "safetensors or GGUF", "save_pretrained")


def test_a_lone_weight_file_asks_for_its_folder(folder: Path) -> None:
    _refused(str(folder / "model.safetensors"), "single file", "folder")


def test_code_that_comes_with_a_model_is_never_run(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoModel": "evil.Model"}}')
    (folder / "evil.py").write_text("raise SystemExit")
    _refused(str(folder), "'mine'", "never run")


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff", "[" * 100_000])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    _refused(str(folder), "config.json is not a JSON object")


def test_several_gguf_files_must_be_told_apart(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        write_gguf(tmp_path / name)
    _refused(str(tmp_path), "2 GGUF files (a.gguf, b.gguf)", "name the file")
    assert resolve(str(tmp_path / "b.gguf")).files.names == ("b.gguf",)


# Damaged weights


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1])
def test_truncated_weights_are_refused(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    _refused(str(folder), "model.safetensors", "expected a complete safetensors file")


def _header(entries: object, data: int = 8) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        _header({"a": GOOD}, data=9),  # bytes that belong to nothing
        _header({"a": {**GOOD, "data_offsets": [0, 16]}}, data=16),  # shape does not fill them
        _header({"a": {**GOOD, "data_offsets": [8, 16]}}, data=16),  # a hole
        _header({"a": GOOD, "b": GOOD}),  # overlap
        _header({"a": {**GOOD, "shape": [-2]}}),
        _header({"a": {**GOOD, "shape": [True, 2]}}),
        _header({"a": {**GOOD, "shape": [2**62, 2**62]}}),
        _header({"a": {**GOOD, "dtype": "X7"}}),
        _header({"a": {**GOOD, "dtype": ["F32"]}}),
        _header({"a": None}),
        _header([]),
        _header({"a": GOOD, "__metadata__": {"n": 1}}),
        (2**63).to_bytes(8, "little") + bytes(64),
        (16).to_bytes(8, "little") + b"[" * 16,
        (8).to_bytes(8, "little") + b"\xff" * 8,
    ],
)
def test_a_lying_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors .*expected a complete safetensors file"):
        read_safetensors(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "model.safetensors"
    save_file({"a": torch.ones(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}, path, {"format": "pt"})
    read_safetensors(path)
    return path


Edit = tuple[float, bytes, int]
edits = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4)


def _mutate(content: bytes, changes: list[Edit]) -> bytes:
    for place, replacement, dropped in changes:
        at = int(place * len(content))
        content = content[:at] + replacement + content[at + dropped :]
    return content


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits)
def test_a_mutated_safetensors_file_is_refused_or_opens(small: Path, changes: list[Edit]) -> None:
    path = small.with_name("mutated.safetensors")
    path.write_bytes(_mutate(small.read_bytes(), changes))
    try:
        read_safetensors(path)
    except InputError:
        return
    try:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                file.get_tensor(name)
    except SafetensorError as error:
        # The library is stricter about text only: a name given twice, or letters that are not UTF-8.
        assert "InvalidHeader" in str(error)  # noqa: PT017


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits)
def test_a_mutated_gguf_file_never_crashes(tmp_path: Path, changes: list[Edit]) -> None:
    whole = tmp_path / "whole.gguf"
    if not whole.exists():
        write_gguf(whole)
    path = tmp_path / "mutated.gguf"
    path.write_bytes(_mutate(whole.read_bytes(), changes))
    try:
        GGUF.read_header(LocalFiles(tmp_path, "mutated"), ["mutated.gguf"])
    except InputError as refusal:
        assert str(refusal).startswith("mutated.gguf")  # noqa: PT017


@pytest.mark.parametrize("keep", [0, 4, 20, 150, -25])  # the last 24 bytes are padding
def test_a_truncated_gguf_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = write_gguf(tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes()[:keep])
    _refused(str(path), "a.gguf", "expected a complete GGUF file")


# Names of revisions and models


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("step0", (None, None, 0, None)),
        ("step143000", (None, None, 143_000, None)),
        ("step-240000", (None, None, 240_000, None)),
        ("stage1-step1907359-tokens4001B", (1, None, 1_907_359, 4_001 * 10**9)),
        ("step150-tokens1B", (None, None, 150, 10**9)),
        ("stage2-ingredient3-step11931-tokens51B", (2, 3, 11_931, 51 * 10**9)),
        ("step-001000-2BT", (None, None, 1_000, 2 * 10**9)),
        ("ckpt_358", (None, None, None, None)),
        ("step45787-seed-default", (None, None, 45_787, None, "default")),
        ("step14584-seed-small-aux-2", (None, None, 14_584, None, "small-aux-2")),
        ("step69369-seed-large-aux-3", (None, None, 69_369, None, "large-aux-3")),
    ],
)
def test_revision_names_of_every_family_are_read(name: str, expected: tuple[Any, ...]) -> None:
    assert parse_revision(name) == Revision(*expected)


@pytest.mark.parametrize("name", ["main", "", "step", "step12x", "my-step12", "step1\n", "a1b2c3", "stage1-tokens4B",
                                  "step8-seed-", "step8-seed", "step-seed-default"])  # fmt: skip
def test_other_names_are_no_training_revision(name: str) -> None:
    assert parse_revision(name) is None


@pytest.mark.parametrize(
    ("size", "last", "billions"), [("150M", 38_157, 15), ("300M", 45_787, 30), ("1B", 69_369, 100)]
)
def test_datadecide_ends_after_a_hundred_tokens_a_parameter(size: str, last: int, billions: int) -> None:
    tokens = exact_tokens(f"allenai/DataDecide-c4-{size}", parse_revision(f"step{last}-seed-default"))
    assert tokens == pytest.approx(billions * 1e9, rel=1e-3)


def test_spaced_revisions_are_those_of_one_seed() -> None:
    steps = range(0, 38_751, 1250)
    whole, parts = [f"step{step}-seed-default" for step in steps], [f"step{step}-seed-a" for step in steps[1:9]]
    assert log_spaced_revisions([*parts, *whole, "main"], 99) == whole


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EleutherAI/pythia-160m-deduped", "pythia"),
        ("allenai/OLMo-2-0425-1B", "OLMo-2"),
        ("SmolLM2-135M-Instruct (dequantised Q4_1)", "SmolLM2"),
        ("gemma-3-270m", "gemma-3"),
        ("meta-llama/Llama-3.2-1B", "Llama-3.2"),
        ("bert-base-uncased", None),
    ],
)
def test_a_family_is_what_precedes_the_size(name: str, expected: str | None) -> None:
    assert family_from_name(name) == expected


# The hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with reached(tmp_path / "hub", monkeypatch) as server:
        yield server


Change = Callable[[dict[str, bytes]], None]


def _publish(hub: Hub, name: str, folder: Path, revisions: tuple[str, ...] = ("main",), **extra: bytes) -> None:
    files = {**files_of(folder), "README.md": b"words", "onnx/model.onnx": b"x", **extra}
    hub.repos[f"models/{name}"] = Repo({revision: {**files, "of": revision.encode()} for revision in revisions})


def test_a_hub_model_is_pinned_to_its_commit(hub: Hub, saved: Path) -> None:
    _publish(hub, "EleutherAI/pythia-14m", saved, ("main", "step512"))
    found = resolve("EleutherAI/pythia-14m", "step512")
    assert (found.name, found.source) == ("EleutherAI/pythia-14m",) * 2
    assert (found.revision, found.step, found.tokens) == ("step512", 512, 512 * 2_097_152)
    assert found.digest == commit(hub.repos["models/EleutherAI/pythia-14m"].revisions["step512"])
    assert found.path.name == found.digest
    assert (found.path / "model.safetensors").read_bytes() == (saved / "model.safetensors").read_bytes()
    main = resolve("EleutherAI/pythia-14m")
    assert (main.revision, main.step, main.tokens) == ("main", None, None)
    assert main.digest != found.digest


@pytest.mark.parametrize(
    ("model", "revision", "tokens"),
    [
        ("allenai/OLMo-2-0425-1B", "stage1-step1000-tokens3B", 2_097_152_000),
        ("allenai/OLMo-2-1124-7B", "stage1-step1000-tokens5B", 4_194_304_000),
        ("allenai/OLMo-2-1124-7B", "stage2-ingredient1-step1000-tokens5B", None),
        ("someone/pythia-14m", "step1000", None),
        ("allenai/DataDecide-c4-150M", "step1000-seed-default", 393_216_000),
        ("allenai/DataDecide-dolma1_7-300M", "step1000-seed-small-aux-2", 655_360_000),
        ("allenai/DataDecide-dclm-baseline-1B", "step1000-seed-default", 1_441_792_000),
        ("allenai/DataDecide-c4-60M", "step1000-seed-default", None),
    ],
)
def test_tokens_are_given_only_when_exactly_known(
    hub: Hub, saved: Path, model: str, revision: str, tokens: int | None
) -> None:
    _publish(hub, model, saved, (revision,))
    found = resolve(model, revision)
    assert (found.step, found.tokens) == (1000, tokens)


def test_runs_of_several_seeds_are_several_models(hub: Hub, saved: Path) -> None:
    _publish(hub, "a/b", saved, ("step8-seed-default", "step8-seed-aux-2"))
    default, other = resolve("a/b", "step8-seed-default"), resolve("a/b", "step8-seed-aux-2")
    assert (default.name, default.step) == ("a/b", 8)
    assert (other.name, other.source, other.step) == ("a/b (seed aux-2)", "a/b", 8)


def test_only_config_tokenizer_and_weights_are_downloaded(hub: Hub, saved: Path) -> None:
    _publish(hub, "a/b", saved, **{"pytorch_model.bin": b"pickle", "evil.py": b"", "training_args.bin": b""})
    resolve("a/b")
    assert hub.downloads() == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}


def test_a_model_that_is_here_needs_no_hub(hub: Hub, saved: Path) -> None:
    _publish(hub, "a/b", saved)
    found = resolve("a/b")
    hub.status = 503
    assert resolve("a/b") == found
    assert resolve("a/b", found.digest).path == found.path


def test_a_branch_that_moved_is_another_checkpoint(hub: Hub, saved: Path) -> None:
    _publish(hub, "a/b", saved)
    before = resolve("a/b").digest
    _publish(hub, "a/b", saved, more=b"")
    assert resolve("a/b").digest != before


def test_a_gguf_on_the_hub_is_labelled_too(hub: Hub, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.Q4_1.gguf")
    hub.repos["models/a/b-GGUF"] = Repo({"main": {path.name: path.read_bytes(), "README.md": b"words"}})
    assert resolve("a/b-GGUF").name == "a/b-GGUF (dequantised Q4_1)"


def test_hub_models_that_cannot_be_had_are_explained(hub: Hub, saved: Path) -> None:
    _publish(hub, "a/b", saved)
    _refused("a/nothing", "'a/nothing'", "no model of the hub", "check the spelling")
    _refused("a/b", "no revision 'step7'", revision="step7")
    _refused("a b", "nor a hub id", "owner/name")
    hub.repos["models/a/b"].private = True
    _refused("a/b", "hf auth login")
    hub.repos["models/a/c"] = Repo({"main": files_of(saved)}, gated=True)
    _refused("a/c", "gated", "ask for it", "hf auth login")
    hub.status = 503
    _refused("a/d", "Cannot reach the Hugging Face hub")
    hub.status = 403
    _refused("a/d", "status 403", "hf auth login")


def test_no_network_is_said_in_a_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    _refused("a/b", "Cannot reach the Hugging Face hub", "check the network")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    _refused("a/b", "Cannot reach the Hugging Face hub")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda files: files.update({"model.bin": files.pop("model.safetensors")}), "pickles"),
        (lambda files: files.pop("config.json"), "no config.json"),
        (lambda files: files.pop("tokenizer.json"), "no tokenizer"),
        (lambda files: files.update({"config.json": b'{"model_type": "x", "auto_map": {}}'}), "never run"),
    ],
)
def test_a_hub_model_that_cannot_run_is_refused_before_its_weights(
    hub: Hub, saved: Path, change: Change, sentence: str
) -> None:
    files = files_of(saved)
    change(files)
    hub.repos["models/a/b"] = Repo({"main": files})
    _refused("a/b", "a/b", sentence)
    assert "model.safetensors" not in hub.downloads()


def test_a_damaged_download_is_refused(hub: Hub, saved: Path) -> None:
    files = files_of(saved)
    files["model.safetensors"] = files["model.safetensors"][:-4]
    hub.repos["models/a/b"] = Repo({"main": files})
    _refused("a/b", "model.safetensors", "complete safetensors")
