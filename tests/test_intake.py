"""What is taken in, what is refused in one sentence, and that nothing else ever happens."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from softh import settings as paths
from softh.checkpoints import architectures
from softh.checkpoints.resolve import resolve
from softh.errors import InputError
from softh.uploads import receive
from softh.uploads.config_filter import clean_config
from softh.uploads.examine import examine
from softh.uploads.streams import Limits
from tests import hostile, tiny
from tests.hostile import CANARY, HARMLESS, REFUSED, Case, Files, loose, raw, tar_bytes, zipped
from tests.hub import files_of
from tests.tiny import save_model

OWNER = "from softh import access; access.set_identity_provider(access.Person)\n"
"""Code that a process of its own begins with, to act as the owner of the machine."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return files_of(save_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty data folder; afterwards nothing is beside it and no canary has sung."""
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    Path(CANARY).unlink(missing_ok=True)
    yield tmp_path / "data"
    assert not Path(CANARY).exists()
    assert [path.name for path in tmp_path.iterdir() if path.name != "data"] == []
    assert {path.name for path in (tmp_path / "data").glob("*")} <= {"uploads", "audit.jsonl"}


def kept() -> list[str]:
    """Everything below the uploads but the lock."""
    return sorted(str(path.relative_to(paths.uploads())) for path in paths.uploads().rglob("*") if path.name != ".lock")


def sentence(error: InputError) -> str:
    text = str(error)
    assert text.endswith("."), text
    assert "\n" not in text
    assert len(text) < 500
    assert text.isprintable()
    return text


# What is taken in


def test_an_upload_becomes_a_checkpoint_named_by_its_content(home: Path, good: Files) -> None:
    accepted = receive.accept(zipped(good))
    assert accepted.model == f"upload:{accepted.path.name}"
    assert (accepted.name, accepted.architecture, accepted.known) == ("upload", "LlamaForCausalLM", False)
    checkpoint = resolve(accepted.model)
    assert (checkpoint.name, checkpoint.digest, checkpoint.revision) == ("upload", accepted.path.name, "local")
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "upload.json"}
    assert {path.name for path in accepted.path.iterdir()} == names
    assert (accepted.path / "model.safetensors").read_bytes() == good["model.safetensors"]


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "a dot around", "loose"])
def test_every_form_of_the_same_upload_is_one_checkpoint(home: Path, good: Files, form: str) -> None:
    inside = {f"tiny/{name}": content for name, content in good.items()}
    dotted = {f"./{name}": content for name, content in good.items()}
    forms = {
        "zip": zipped(good),
        "tar": raw(tar_bytes(inside)),
        "tar.gz": raw(tar_bytes(inside, mode="w:gz")),
        "a dot around": raw(tar_bytes(dotted)),
        "loose": loose(good),
    }
    accepted = receive.accept(forms[form], "first")
    again = receive.accept(zipped(good), "second")
    assert (again.model, again.name, again.known) == (accepted.model, "first", True)
    assert [found.model for found in receive.list_models()] == [accepted.model]


def test_shards_are_taken_in_with_their_index(home: Path, good: Files) -> None:
    accepted = receive.accept(hostile.shards(lambda files, index: None)(good))
    assert len(list(accepted.path.glob("*.safetensors"))) == 2
    assert accepted.parameters == 14_800
    assert resolve(accepted.model).weights == "safetensors"


def test_the_model_that_runs_is_the_one_that_was_saved(home: Path, good: Files, tmp_path_factory: Any) -> None:
    from softh.models.loading import load_model

    folder = tmp_path_factory.mktemp("same")
    for name, content in good.items():
        (folder / name).write_bytes(content)
    uploaded = load_model(resolve(receive.accept(zipped(good)).model))
    local = load_model(resolve(str(folder)))
    text = "What a model keeps\nand what it forgets"
    assert uploaded.tokenizer(text)["input_ids"] == local.tokenizer(text)["input_ids"]
    known = {name: value.sum().item() for name, value in local.module.state_dict().items()}
    assert {name: value.sum().item() for name, value in uploaded.module.state_dict().items()} == known


def test_two_uploads_of_the_same_thing_at_once_are_one(home: Path, good: Files) -> None:
    with ThreadPoolExecutor(4) as pool:
        accepted = list(pool.map(lambda _: receive.accept(zipped(good)), range(4)))
    assert len({found.model for found in accepted}) == 1
    assert sum(not found.known for found in accepted) == 1
    assert len(receive.list_models()) == 1
    assert not list(paths.uploads().glob(".quarantine*"))


def test_an_upload_can_be_forgotten(home: Path, good: Files) -> None:
    model = receive.accept(zipped(good)).model
    receive.delete(model)
    assert kept() == []
    with pytest.raises(InputError, match="not an upload of this server"):
        resolve(model)
    with pytest.raises(InputError, match="not an upload of this server"):
        receive.delete("upload:../../data")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Llama-3.2-1B.zip", "Llama-3.2-1B"),
        ("../../etc/passwd", "passwd"),
        ("C:\\evil\\my model.tar.gz", "my model"),
        ("\u202egnp<script>", "gnp-script"),
        ("...", "upload"),
        ("x" * 500, "x" * 80),
    ],
)
def test_a_stranger_s_name_becomes_a_plain_one(name: str, shown: str) -> None:
    assert receive.name_on_screen(name) == shown


# What is refused


def test_there_are_at_least_sixty_hostile_inputs() -> None:
    assert len(REFUSED) + len(HARMLESS) >= 60


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_hostile_upload_is_refused_in_one_sentence_and_leaves_nothing(home: Path, good: Files, name: str) -> None:
    case: Case = REFUSED[name]
    with pytest.raises(InputError) as refusal:
        receive.accept(case.make(good))
    text = sentence(refusal.value)
    for words in case.words:
        assert words in text
    if paths.uploads().exists():
        assert kept() == []


@pytest.mark.parametrize("name", list(HARMLESS))
def test_what_loads_code_is_left_out_and_the_rest_accepted(home: Path, good: Files, name: str) -> None:
    accepted = receive.accept(HARMLESS[name].make(good))
    text = "".join(path.read_text() for path in accepted.path.glob("*.json"))
    for word in ("evil", "Evil", "/etc", 'chat_template":', "id2label"):
        assert word not in text
    known = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "upload.json"}
    assert {path.name for path in accepted.path.iterdir()} == known


def test_what_was_left_out_is_named(home: Path, good: Files) -> None:
    accepted = receive.accept(HARMLESS["code beside a known architecture"].make(good))
    assert accepted.left_out == ("auto_map",)


def test_an_error_names_the_file_with_its_ending(home: Path) -> None:
    with pytest.raises(InputError, match=r"^wrong\.zip is not a known archive"):
        receive.accept([receive.Part("wrong.zip", io.BytesIO(b"text"))])


def test_what_no_check_of_names_can_know_is_refused_or_harmless(home: Path, good: Files) -> None:
    for name in ("a bomb behind the end of a tar", "a tar cut short"):
        try:
            receive.accept(hostile.ARCHIVES[name].make(good))
        except InputError as error:
            sentence(error)


def test_an_upload_has_a_quota(home: Path, good: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    for parts in (zipped(good), raw(tar_bytes(good)), loose(good)):
        with pytest.raises(InputError, match=r"more than|at most"):
            receive.accept(parts, limits=Limits(total=50_000))
    monkeypatch.setenv("SOFTH_UPLOAD_GB", "0.00005")
    with pytest.raises(InputError, match="the most"):
        receive.accept(zipped(good))
    monkeypatch.setenv("SOFTH_UPLOAD_GB", "much")
    with pytest.raises(InputError, match="SOFTH_UPLOAD_GB was 'much'"):
        receive.accept(zipped(good))
    assert kept() == []


# The disk, and the plug


def test_no_room_is_said_before_anything_is_written(home: Path, good: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"disk has 1\.0 kB free"):
        receive.accept(zipped(good))
    assert kept() == []


def test_a_disk_that_fills_up_while_unpacking_leaves_nothing(home: Path, good: Files) -> None:
    code = OWNER + (
        "import resource, sys\n"
        "from tests.hostile import zipped; from softh.uploads import receive; from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "files = {path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()}\n"
        "try: receive.accept(zipped(files))\n"
        "except receive.InputError as error: print(error)"
    )
    source = home.parent / "data" / "uploads"
    source.mkdir(parents=True)
    model = source / "model"
    model.mkdir()
    for name, content in good.items():
        (model / name).write_bytes(content)
    run = subprocess.run([sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True)
    assert "The disk is full (File too large) and nothing of the upload was kept" in run.stdout
    for path in model.iterdir():
        path.unlink()
    model.rmdir()
    assert kept() == []


def test_what_a_killed_process_left_goes_with_the_next_upload(home: Path, good: Files) -> None:
    code = OWNER + (
        "import io, os, signal; from softh.uploads import receive\n"
        "class Slow(io.BytesIO):\n"
        "    def read(self, count=-1):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "parts = [receive.Part(name, io.BytesIO(b'{}')) for name in ('config.json', 'tokenizer.json')]\n"
        "receive.accept([*parts, receive.Part('model.safetensors', Slow(b'x'))])"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False)
    assert run.returncode == -signal.SIGKILL
    assert any("config.json" in name for name in kept())
    receive.accept(zipped(good))
    assert not list(paths.uploads().glob(".quarantine*"))


def test_an_upload_that_waits_is_not_swept_away(home: Path, good: Files) -> None:
    class Busy:
        """Looks like a file; while it is read, another upload comes."""

        name = "config.json"

        def __init__(self) -> None:
            self.read_once = False

        def seek(self, *_: int) -> int:
            return 0

        def read(self, _: int = -1) -> bytes:
            if self.read_once:
                return b""
            self.read_once = True
            receive.accept(zipped(good))
            return good["config.json"]

    parts = [part for part in loose(good) if part.name != "config.json"]
    assert receive.accept([*parts, Busy()]).known


# What only the library finds when it loads


@pytest.mark.parametrize(
    "make",
    [
        hostile.config(num_attention_heads=0),
        hostile.config(num_attention_heads=3),
        hostile.config(hidden_act="evil"),
        hostile.config(rope_parameters={"rope_type": "evil"}),
        hostile.config(layer_types=["x"]),
        hostile.config(intermediate_size=33),
        hostile.config(head_dim=7),
        hostile.config(pad_token_id=10**9),
        hostile.config(rms_norm_eps="x"),
        hostile.config(initializer_range=float("inf")),
        hostile.config(text_config={"model_type": "bert"}),
        hostile.config(model_type="gpt2"),
        hostile.weights(lambda tensors: {n: t for n, t in tensors.items() if n != "lm_head.weight"}),
        hostile.weights(lambda tensors: {n: t for n, t in tensors.items() if n != "model.embed_tokens.weight"}),
        hostile.weights(lambda tensors: {n: t for n, t in tensors.items() if n != "model.norm.weight"}),
    ],
)
def test_a_contradiction_is_one_sentence_when_the_model_is_loaded(home: Path, good: Files, make: Any) -> None:
    from softh.models.loading import load_model

    with pytest.raises(InputError) as refusal:
        load_model(resolve(receive.accept(make(good)).model))
    sentence(refusal.value)


def test_tied_weights_may_be_saved_under_either_name(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    from softh.models.loading import load_model

    files = files_of(save_model(tmp_path_factory.mktemp("models") / "tied", tiny.llama(tie_word_embeddings=True)))
    other = hostile.renamed("model.embed_tokens.weight", "lm_head.weight")(files)
    tables = [load_model(resolve(receive.accept(parts).model)).module.get_input_embeddings().weight
              for parts in (zipped(files), other)]  # fmt: skip
    assert tables[0].equal(tables[1])


# Settings


def check_config(kind: str) -> None:
    """A config that needs no cleaning gives the same model afterwards."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    def plain(config: Any) -> dict[str, Any]:
        content = json.loads(config.to_json_string(use_diff=False))
        left = {"_name_or_path", "transformers_version", "id2label", "label2id", "use_cache", "return_dict",
                "num_labels", "chunk_size_feed_forward", "problem_type", "output_router_logits"}  # fmt: skip
        return {name: value for name, value in content.items() if name not in left and not name.startswith("output_")}

    def made(settings: dict[str, Any]) -> Any:
        infinite = json.loads(json.dumps(settings), object_hook=lambda found: float(found.get("__float__", "nan"))
                              if set(found) == {"__float__"} else found)  # fmt: skip
        return CONFIG_MAPPING[kind](**{name: value for name, value in infinite.items() if name != "model_type"})

    before = CONFIG_MAPPING[kind]()
    cleaned, _ = clean_config(json.loads(before.to_json_string(use_diff=False)), kind)
    assert plain(made(cleaned)) == plain(before), kind


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma3_text", "olmo2", "cohere", "mamba", "bert", "gpt_neox"])
def test_a_config_without_code_passes_unchanged(kind: str) -> None:
    check_config(kind)


@pytest.mark.real
def test_the_config_of_every_language_model_passes_unchanged() -> None:
    odd = {"gemma4_assistant", "moshi"}  # the first refuses its own defaults, the second's audio part differs
    kinds = sorted(architectures.language_model_types() - odd)
    assert len(kinds) > 200
    for kind in kinds:
        check_config(kind)


def test_old_spellings_of_a_setting_are_kept() -> None:
    old = {"model_type": "llama", "rope_theta": 500_000.0, "rope_scaling": {"type": "linear", "factor": 2.0},
           "torch_dtype": "float16", "hidden_act": "silu"}  # fmt: skip
    assert clean_config(old, "old") == (old, [])


def test_settings_of_the_library_itself_are_not_a_stranger_s_to_set() -> None:
    given = {"model_type": "llama", "attribute_map": {"hidden_size": "vocab_size"}, "sub_configs": {}, "to_dict": 1,
             "base_model_tp_plan": {}, "extra_files": ["../x"], "keys_to_ignore_at_inference": 3}  # fmt: skip
    assert clean_config(given, "odd")[0] == {"model_type": "llama"}


# Mutations

EDITS = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("auto_map", "_attn_implementation", "quantization_config", "text_config", "architectures", "model_type",
        "num_hidden_layers", "hidden_size", "vocab_size", "num_attention_heads", "rope_parameters", "layer_types",
        "hidden_act", "tie_word_embeddings", "max_position_embeddings", "dtype", "is_encoder_decoder")  # fmt: skip


def mutate(content: bytes, changes: list[tuple[float, bytes, int]]) -> bytes:
    for place, replacement, dropped in changes:
        at = int(place * len(content))
        content = content[:at] + replacement + content[at + dropped :]
    return content


def survives(folder: Path, files: Files) -> None:
    """Refused in a sentence, or accepted and then without code and in a form that its library opens."""
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        examine(folder, "mutant")
    except InputError as error:
        sentence(error)
        return
    with safe_open(folder / "model.safetensors", "np") as file:
        assert len(list(file.keys())) >= 1
    assert not {"auto_map", "_attn_implementation", "quantization_config"} & set(
        json.loads((folder / "config.json").read_text())
    )


def check_mutants(good: Files, folder: Path, examples: int) -> None:
    folder.mkdir(exist_ok=True)
    chosen = {name: good[name] for name in ("config.json", "model.safetensors", "tokenizer.json")}
    quiet = settings(max_examples=examples // 3, deadline=None, suppress_health_check=list(HealthCheck), database=None)

    @quiet
    @given(EDITS)
    def weights(changes: list[tuple[float, bytes, int]]) -> None:
        survives(folder, {**chosen, "model.safetensors": mutate(chosen["model.safetensors"], changes)})

    @quiet
    @given(EDITS)
    def header(changes: list[tuple[float, bytes, int]]) -> None:
        content = chosen["model.safetensors"]
        end = 8 + int.from_bytes(content[:8], "little")
        text = mutate(content[8:end], changes)
        survives(folder, {**chosen, "model.safetensors": hostile.headed(text, 0) + content[end:]})

    @quiet
    @given(
        st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), JSON, min_size=1, max_size=3), EDITS, st.booleans()
    )
    def config(changes: dict[str, Any], edits: list[tuple[float, bytes, int]], bytewise: bool) -> None:
        content = chosen["config.json"]
        changed = mutate(content, edits) if bytewise else json.dumps({**json.loads(content), **changes}).encode()
        survives(folder, {**chosen, "config.json": changed})

    weights()
    header()
    config()


def test_mutants_of_a_good_upload_are_refused_or_harmless(good: Files, tmp_path: Path) -> None:
    check_mutants(good, tmp_path / "mutants", 210)


@pytest.mark.real
def test_two_thousand_mutants_of_a_good_upload_are_refused_or_harmless(good: Files, tmp_path: Path) -> None:
    check_mutants(good, tmp_path / "mutants", 2_000)


# Memory


def test_memory_does_not_grow_with_the_upload(home: Path) -> None:
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("intake_memory.py")],
        env=os.environ | {"PYTHONPATH": f"{paths.ROOT}:{paths.ROOT / 'tests'}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(run.stdout)
    assert found["bytes"] > 300 * 2**20
    assert "are enough for any model" in found["refusal"]
    assert found["accepted"].startswith("upload:")
    assert found["peak"] < 300 * 2**20, found
    for path in paths.uploads().glob("*/*"):
        path.unlink()
