"""What is said of a model before it is fetched or loaded: exact where it counts, refused where it cannot fit."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest

from softh.checkpoints import hub as hub_client
from softh.checkpoints.resolve import resolve
from softh.checkpoints.revisions import log_spaced_revisions
from softh.cost import hardware
from softh.cost.hardware import Gpu, Machine, this_machine
from softh.cost.predict import Sizes, predict_cost
from softh.cost.preflight import Preflight, preflight
from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.uploads import receive
from tests.hostile import safetensors, tensors_of, zipped
from tests.hub import Hub, Repo, commit, files_of, serve
from tests.shapes import CAUSAL
from tests.shapes import save as save_shape
from tests.test_checkpoints import write_gguf
from tests.tiny import save_model

SMALL = Machine(memory=16 << 30, disk=100 << 30, gpus=(), cores=2, flops=1e11)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve() as server:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield server


def look(model: str | Path, machine: Machine = SMALL, **asked: object) -> Preflight:
    return preflight(replace(EstimateSpec(model=str(model), context=64), **asked), machine=machine)


# What a model is


@pytest.mark.parametrize("kind", [*CAUSAL, "bert"])
def test_the_sizes_are_those_of_the_model_once_loaded(kind: str, tmp_path: Path) -> None:
    from softh.models.loading import load_model

    folder = save_shape(tmp_path / kind, kind)
    found, model = look(folder), load_model(resolve(str(folder)))
    assert (found.layers, found.width, found.vocabulary) == (model.layers, model.width, model.vocabulary)
    assert found.causal == model.has_head
    assert found.parameters == model.parameters
    assert found.dtype == "float32"
    assert found.digest == resolve(str(folder)).digest
    assert found.refusal is None


def test_a_folder_an_upload_and_the_hub_say_the_same(
    hub: Hub, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    hub.repos["models/a/b"] = Repo({"main": files_of(saved)})
    uploaded = receive.accept(zipped(files_of(saved)))
    seen = [look(model) for model in (saved, uploaded.model, "a/b")]
    assert len({(found.architecture, found.parameters, found.layers, found.width, found.bytes) for found in seen}) == 1
    assert [found.digest for found in seen] == [
        resolve(str(saved)).digest, uploaded.path.name, commit(hub.repos["models/a/b"].revisions["main"]),
    ]  # fmt: skip
    fetched = {name: content for name, content in files_of(saved).items() if name != "generation_config.json"}
    assert [found.download for found in seen] == [0, 0, sum(map(len, fetched.values()))]


def test_nothing_but_heads_leaves_the_hub(hub: Hub, saved: Path) -> None:
    files = files_of(saved)
    tensors = tensors_of(files["model.safetensors"])
    tensors["model.unused.weight"] = ("F32", [1000, 1000], bytes(4_000_000))
    files["model.safetensors"] = safetensors(tensors)
    hub.repos["models/a/b"] = Repo({"main": files})
    found = look("a/b")
    settings = {"config.json", "tokenizer.json", "tokenizer_config.json"}
    assert found.download == sum(len(files[name]) for name in (*settings, "model.safetensors"))
    assert found.parameters == 14_800 + 1_000_000
    assert hub.downloads() == {"config.json", "model.safetensors"}
    assert hub.ranges == ["config.json bytes=0-15999999", "model.safetensors bytes=0-131071"]
    assert hub.sent < 200_000
    resolve("a/b")
    assert look("a/b").download == 0


def test_a_hub_that_ignores_ranges_is_not_read_to_the_end(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    content = np.random.default_rng(0).bytes(8_000_000)
    hub.repos["models/a/b"] = Repo({"main": {"model.safetensors": content}})
    monkeypatch.setattr("tests.hub._Handler.file", lambda handler, body, sha: handler.send(body))
    sha = commit(hub.repos["models/a/b"].revisions["main"])
    assert hub_client.read_head("a/b", sha, "model.safetensors", 1000) == content[:1000]


def test_a_long_header_takes_a_second_request(hub: Hub, saved: Path) -> None:
    files = files_of(saved)
    tensors = tensors_of(files["model.safetensors"])
    tensors.update({f"model.buffer.{number:05}": ("F32", [1], bytes(4)) for number in range(4000)})
    files["model.safetensors"] = safetensors(tensors)
    hub.repos["models/a/b"] = Repo({"main": files})
    assert look("a/b").parameters == 14_800 + 4_000
    assert len(hub.ranges) == 3


def test_shards_are_counted_together(hub: Hub, saved: Path) -> None:
    tensors = tensors_of(files_of(saved)["model.safetensors"])
    names = sorted(tensors)
    halves = {f"model-{number:05}-of-00002.safetensors": names[number - 1 :: 2] for number in (1, 2)}
    files = {name: content for name, content in files_of(saved).items() if name != "model.safetensors"}
    places = {name: shard for shard, half in halves.items() for name in half}
    index = json.dumps({"weight_map": places}).encode()
    shards = {shard: safetensors({name: tensors[name] for name in half}) for shard, half in halves.items()}
    hub.repos["models/a/b"] = Repo({"main": {**files, **shards, "model.safetensors.index.json": index}})
    assert look("a/b").parameters == 14_800
    missing = {**files, **dict(list(shards.items())[:1]), "model.safetensors.index.json": index}
    hub.repos["models/a/c"] = Repo({"main": missing})
    with pytest.raises(InputError, match="lacks model-00002"):
        look("a/c")


def test_a_gguf_file_says_its_sizes_too(hub: Hub, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "Tiny-Q4_1.gguf")
    hub.repos["models/a/b"] = Repo({"main": {path.name: path.read_bytes()}})
    for found in (look(path), look("a/b")):
        assert (found.architecture, found.weights) == ("llama", "dequantised GGUF Q4_1")
        assert (found.parameters, found.vocabulary) == (8 + 2 * 32, 2)


# What it costs


def test_what_does_not_fit_is_refused_with_a_remedy(saved: Path) -> None:
    assert "GB of memory and this machine has 0.5 GB" in str(look(saved, replace(SMALL, memory=1 << 29)).refusal)
    gpu = Machine(16 << 30, 1 << 40, (Gpu("Small", 1 << 30, 1 << 30),), 2, 1e11)
    assert "of GPU memory and this machine has 1.1 GB free" in str(look(saved, gpu).refusal)
    assert "ask for a context of 128" in str(look(saved, context=500).refusal)


def test_a_download_that_the_disk_cannot_hold_is_refused(hub: Hub, saved: Path) -> None:
    hub.repos["models/a/b"] = Repo({"main": files_of(saved)})
    refusal = str(look("a/b", replace(SMALL, disk=1000)).refusal)
    assert "the disk has 1.0 kB free" in refusal
    assert "HF_HOME" in refusal


def test_costs_grow_with_what_is_asked() -> None:
    base, sizes = EstimateSpec(model="m"), Sizes(135_000_000, 30, 576, 49_152)
    first = predict_cost(base, sizes, SMALL)
    assert first.device == "cpu"
    assert first.device_memory == 0
    assert first.memory > 4 * sizes.parameters
    for larger in (replace(base, documents=512), replace(base, draws=64), replace(base, context=512)):
        assert predict_cost(larger, sizes, SMALL).seconds > first.seconds
    assert predict_cost(base, replace(sizes, parameters=10**9), SMALL).memory > first.memory
    fast = replace(SMALL, gpus=(Gpu("H100", 80 << 30, 80 << 30),))
    assert predict_cost(base, sizes, fast).seconds < first.seconds
    assert "20 TFLOP/s" in predict_cost(base, sizes, fast).basis


def test_memory_is_what_a_measured_estimate_took_and_not_several_times_more() -> None:
    # The demo checkpoint on 256 documents of 256 tokens: 1.52 GB at its peak (docs/log.md).
    asked = predict_cost(EstimateSpec(model="m"), Sizes(3_380_000, 6, 128, 8_192), SMALL)
    assert 1.52e9 < asked.memory < 2 * 1.52e9


def test_seconds_of_stored_estimates_correct_the_prediction() -> None:
    spec, sizes = EstimateSpec(model="m"), Sizes(135_000_000, 30, 576, 49_152)
    predicted = predict_cost(spec, sizes, SMALL).seconds
    row = {"parameters": sizes.parameters, "layers": 30, "width": 576, "documents": spec.documents,
           "context": spec.context, "bins": spec.bins, "draws": spec.draws, "spec": spec.canonical(),
           "seconds": 3 * predicted, "device": "cpu"}  # fmt: skip
    elsewhere = {**row, "device": "cuda:0", "seconds": 1.0}
    found = predict_cost(spec, sizes, SMALL, [row, elsewhere])
    assert found.seconds == pytest.approx(3 * predicted)
    assert found.basis == "the seconds of one estimate"


def test_this_machine_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path))
    first = this_machine()
    assert first.memory > 1 << 28
    assert first.flops > 1e8
    assert this_machine().flops == first.flops
    (tmp_path / "machine.json").write_text("damaged")
    assert this_machine().flops > 1e8


def test_free_memory_is_bounded_by_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("1000000\n")
    (tmp_path / "memory.max").write_text("1500000\n")
    assert hardware.free_memory() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert hardware.free_memory() > 1 << 28


def test_the_key_is_that_of_the_estimate_that_is_stored(saved: Path) -> None:
    from softh.estimator.pipeline import estimate

    spec = EstimateSpec(model=str(saved), documents=2, context=32, draws=1, bins=10, folds=2)
    row = estimate(spec).record()["estimate"]
    assert preflight(spec, machine=SMALL).key == (row["spec"], resolve(str(saved)).digest)


def test_looking_at_a_model_needs_neither_torch_nor_transformers(saved: Path) -> None:
    code = (
        "import sys; from softh.uploads import receive; from softh.cost.preflight import preflight\n"
        "from softh.spec import EstimateSpec\n"
        "preflight(EstimateSpec(model=sys.argv[1], context=64))\n"
        "print(sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


# What is wrong with it


def test_trouble_is_one_sentence(hub: Hub, saved: Path, tmp_path: Path) -> None:
    hub.repos["models/a/gated"] = Repo({"main": files_of(saved)}, gated=True)
    hub.repos["models/a/private"] = Repo({"main": files_of(saved)}, private=True)
    for model, words in (
        ("a/gated", "hf auth login"), ("a/private", "hf auth login"), ("a/none", "no model of the hub"),
        ("/no/such", "does not exist"), ("upload:1", "is not an upload of this server"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            look(model)
    broken = Path(shutil.copytree(saved, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="announces a header"):
        look(broken)


def test_a_damaged_head_on_the_hub_is_one_sentence(hub: Hub, saved: Path) -> None:
    for number, (name, content) in enumerate(
        (("model.safetensors", (10**8).to_bytes(8, "little") + bytes(10**6)), ("config.json", b"[" * 10**5),
         ("model.safetensors", b""), ("config.json", b'{"model_type": "mine"}'))
    ):  # fmt: skip
        hub.repos[f"models/a/b{number}"] = Repo({"main": {**files_of(saved), name: content}})
        with pytest.raises(InputError) as refusal:
            look(f"a/b{number}")
        assert str(refusal.value).endswith(".")


# Several revisions, and downloads that break


def _steps(saved: Path, hub: Hub) -> list[str]:
    names = ["main", *(f"step{step}" for step in (0, 1, 2, 4, 8, 16, 32, 64, 128, 1000, 2000, 143_000))]
    revisions = {name: {**files_of(saved), "of": name.encode()} for name in names}
    hub.repos["models/EleutherAI/pythia-14m"] = Repo(revisions, tags={"v1": "step1000"})
    return names


def test_branches_and_tags_are_listed_with_their_commits(hub: Hub, saved: Path) -> None:
    names = _steps(saved, hub)
    repo = hub.repos["models/EleutherAI/pythia-14m"]
    found = hub_client.list_refs("EleutherAI/pythia-14m")
    assert [ref.name for ref in found] == [*names, "v1"]
    assert [ref.kind for ref in found] == ["branch"] * len(names) + ["tag"]
    assert found[-1].commit == commit(repo.revisions["step1000"])
    assert look("EleutherAI/pythia-14m", revision="v1").digest == found[-1].commit


def test_a_trajectory_is_a_few_revisions_each_pinned_and_resolved(hub: Hub, saved: Path) -> None:
    _steps(saved, hub)
    chosen = log_spaced_revisions(hub_client.list_revisions("EleutherAI/pythia-14m"), 4)
    assert chosen[0] == "step0"
    assert chosen[-1] == "step143000"
    digests = [look("EleutherAI/pythia-14m", revision=name).digest for name in chosen]
    resolved = [resolve("EleutherAI/pythia-14m", name) for name in chosen]
    assert [checkpoint.digest for checkpoint in resolved] == digests
    assert len(set(digests)) == len(chosen) == 4
    assert resolved[0].tokens == 0


def test_a_download_that_breaks_goes_on_where_it_stopped(
    hub: Hub, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # so that a small file has several
    _steps(saved, hub)
    content = (saved / "model.safetensors").read_bytes()
    hub.cut, hub.cuts = 20_000, 2
    resolved = resolve("EleutherAI/pythia-14m", "step64")
    assert (resolved.path / "model.safetensors").read_bytes() == content
    assert [line for line in hub.ranges if "model.safetensors" in line] == [
        "model.safetensors bytes=20000-", "model.safetensors bytes=40000-"
    ]  # fmt: skip
    files = files_of(saved)
    assert hub.sent < sum(map(len, files.values())) + 10_000


def test_a_download_given_up_is_taken_up_file_by_file(hub: Hub, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    _steps(saved, hub)
    hub.cut, hub.cuts = 0, 100
    with pytest.raises(InputError, match="Cannot reach the Hugging Face hub"):
        resolve("EleutherAI/pythia-14m", "step8")
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    hub.cut, hub.cuts = 10_000, 100  # what is longer breaks again and again, and each time some bytes come
    resolved = resolve("EleutherAI/pythia-14m", "step8")
    assert (resolved.path / "model.safetensors").read_bytes() == (saved / "model.safetensors").read_bytes()
    before = len(hub.requests)
    assert resolve("EleutherAI/pythia-14m", "step8") == resolved
    assert not [line for line in hub.requests[before:] if line.startswith("GET") and "/resolve/" in line]


def test_parts_of_an_upload_may_be_any_stream(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))

    class Uploaded(io.BytesIO):
        """As Streamlit gives it."""

        def __init__(self, name: str, content: bytes) -> None:
            super().__init__(content)
            self.name = name

    parts = [Uploaded(path.name, path.read_bytes()) for path in saved.iterdir()]
    assert look(receive.accept(parts, "mine").model).parameters == 14_800
