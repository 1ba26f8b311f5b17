"""A recipe is read strictly, its revisions are chosen by their steps, and a sweep does what is missing, once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from softh.checkpoints.revisions import exact_tokens, log_spaced_revisions, parse_revision
from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.store import read
from softh.sweeps import recipe as sweep
from tests.hub import Hub, Repo, files_of, reached, serve
from tests.tiny import save_model, save_text

ROOT = Path(__file__).parent.parent
PYTHIA = ["main", *(f"step{step}" for step in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(1000, 144_000, 1000)))]


def recipe(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_spaced_revisions_hold_both_ends_and_are_even_in_the_logarithm() -> None:
    chosen = [int(name.removeprefix("step")) for name in log_spaced_revisions(PYTHIA, 12)]
    assert (len(chosen), chosen[0], chosen[-1]) == (12, 0, 143_000)
    ratios = [(b + 1) / (a + 1) for a, b in pairwise(chosen)]
    assert max(ratios) / min(ratios) < 2.5


@pytest.mark.parametrize("count", [1, 2, 12, 40, 154, 500])
def test_spaced_revisions_are_as_many_as_asked_for_and_different(count: int) -> None:
    chosen = log_spaced_revisions(PYTHIA, count)
    assert len(chosen) == len(set(chosen)) == min(count, 154)


def test_every_shipped_recipe_is_read_and_names_hub_models() -> None:
    for path in sorted((ROOT / "recipes").glob("*.toml")):
        read_ = sweep.load(path)
        assert all("/" in entry.id for entry in read_.models), path
        assert len({(entry.id, entry.revisions) for entry in read_.models}) == len(read_.models), path


def test_the_frontier_recipe_names_47_models_that_have_scores() -> None:
    names = {entry.id for entry in sweep.load(ROOT / "recipes" / "frontier.toml").models}
    scored = read.benchmarks(ROOT / "data")["model"].unique()
    assert len(names) >= 47
    assert names <= set(scored)


def test_patterns_choose_among_the_revisions_of_the_hub(tmp_path: Path) -> None:
    path = recipe(
        tmp_path / "r.toml",
        '[estimate]\ncorpus = "c4"\ndraws = 4\n'
        '[[model]]\nid = "a/b"\nrevisions = "step*"\ncheckpoints = 3\n[[model]]\nid = "a/c"\n',
    )
    specs = list(sweep.load(path).specs(lambda model: PYTHIA))
    assert [(spec.model, spec.revision) for spec in specs] == [
        ("a/b", "step0"), ("a/b", "step512"), ("a/b", "step143000"), ("a/c", None),
    ]  # fmt: skip
    assert {(spec.corpus, spec.draws) for spec in specs} == {("c4", 4)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models = 1", "unknown key 'models'"),
        ("[estimate]\nspeed = 1", "unknown key 'speed'"),
        ("[estimate]\ndraws = 0", "draws was 0"),
        ("[estimate]\ndraws = 2", "names no model"),
        ("[[model]]\nname = 'a/b'", "unknown key 'name'"),
        ("[[model]]\nrevisions = ['x']", "expected a hub id"),
        ("[[model]]\nid = 'a/b'\ncheckpoints = 0", "checkpoints of"),
        ("[[model]]\nid = 'a/b'\nrevisions = [1]", "quote them"),
        ("[[model", "not valid TOML"),
        ("a = " + "[" * 100_000, "not valid TOML"),
        ("a = 1" + "0" * 5_000, "not valid TOML"),
        ('[estimate]\norders = 5\n[[model]]\nid = "a/b"', "orders"),
        ('[estimate]\norders = [[1]]\n[[model]]\nid = "a/b"', "orders"),
        ('[[model]]\nid = "a/b"\nrevisions = 5', "revisions of"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match="(?s)" + words) as caught:
        sweep.load(recipe(tmp_path / "r.toml", text))
    assert "\n" not in str(caught.value)


def test_a_pattern_that_fits_nothing_is_refused(tmp_path: Path) -> None:
    read_ = sweep.load(recipe(tmp_path / "r.toml", '[[model]]\nid = "a/b"\nrevisions = "stage*"\n'))
    with pytest.raises(InputError, match="no revision like"):
        list(read_.specs(lambda model: PYTHIA))


def test_polypythias_finds_its_revisions_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = sweep.load(ROOT / "recipes" / "polypythias.toml")
    assert len(asked.models) == 51
    with reached(tmp_path, monkeypatch) as server:
        for entry in asked.models:
            server.repos[f"models/{entry.id}"] = Repo({step: {"of": step.encode()} for step in PYTHIA})
        specs = list(asked.specs())
    assert len(specs) == 51 * 12
    steps = [spec.revision for spec in specs if spec.model == "EleutherAI/pythia-160m-data-seed3"]
    assert (steps[0], steps[-1]) == ("step0", "step143000")
    assert set(steps) <= set(PYTHIA)


def test_olmo_3_and_reinforcement_learning_find_their_revisions_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (0, 1000, 2000, 3000, 5000, 7000, *range(9000, 1_413_000, 3000), 1_413_814)
    stages = ("main", "stage2-step8000", "stage2-step47684", "stage3-step1000", "stage3-step11921")
    rewarded = ("main", *(f"step_{step}" for step in range(200, 2601, 200)))
    names = {"allenai/Olmo-3-1025-7B": (*stages, *(f"stage1-step{step}" for step in steps)),
             "allenai/OLMo-2-0425-1B-RLVR1": rewarded}  # fmt: skip
    with reached(tmp_path, monkeypatch) as server:
        specs = []
        for recipe_name in ("olmo3-7b", "olmo2-1b-rl"):
            asked = sweep.load(ROOT / "recipes" / f"{recipe_name}.toml")
            for entry in asked.models:
                found = names.get(entry.id, ("main",))
                server.repos[f"models/{entry.id}"] = Repo({name: {"of": name.encode()} for name in found})
            specs += asked.specs()
    pretraining = [spec.revision for spec in specs if spec.model == "allenai/Olmo-3-1025-7B" and spec.revision]
    assert len(pretraining) == 48
    assert (pretraining[0], pretraining[-1]) == ("stage1-step0", "stage1-step1413814")
    assert not any(name.startswith(("stage2", "stage3")) for name in pretraining)
    rewards = [spec.revision for spec in specs if spec.model == "allenai/OLMo-2-0425-1B-RLVR1"]
    assert rewards == list(rewarded[1:])
    last = parse_revision("stage1-step1413814")
    assert exact_tokens("allenai/Olmo-3-1025-7B", last) == 1_413_814 * 512 * 8192


def test_datadecide_finds_the_revisions_of_the_default_seed_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = {"150M": 38_157, "1B": 69_369}
    asked = sweep.load(ROOT / "recipes" / "datadecide.toml")
    assert len(asked.models) == len({entry.id for entry in asked.models}) == 9
    with reached(tmp_path, monkeypatch) as server:
        for entry in asked.models:
            size = entry.id.rsplit("-", 1)[1]
            seeds = {"150M": ("small-aux-2", "small-aux-3"), "1B": ("large-aux-2", "large-aux-3")}[size]
            steps = [*range(0, last[size], 1250), last[size]]
            names = ["main", *(f"step{step}-seed-default" for step in steps)]
            names += [f"step{step}-seed-{seed}" for seed in seeds for step in range(0, 38_751, 1250)]
            server.repos[f"models/{entry.id}"] = Repo({name: {"of": name.encode()} for name in names})
        specs = list(asked.specs())
    assert len(specs) == 9 * 16
    for model in {spec.model for spec in specs}:
        found = [parse_revision(spec.revision or "") for spec in specs if spec.model == model]
        assert {each.seed for each in found if each} == {"default"}
        steps = [each.step for each in found if each and each.step is not None]
        assert len(steps) == 16
        assert steps == sorted(steps)
        assert (steps[0], steps[-1]) == (0, last[model.rsplit("-", 1)[1]])
        assert (exact_tokens(model, found[-1]) or 0) == pytest.approx(1.5e10 if "150M" in model else 1e11, rel=1e-3)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as server:
        yield server


def run(hub: Hub, tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    places = {"SOFTH_DATA": str(tmp_path / "data"), "SOFTH_CACHE": str(tmp_path / "cache"), "HF_ENDPOINT": hub.url,
              "HF_HOME": str(tmp_path / "hf")}  # fmt: skip
    return subprocess.run([sys.executable, "-m", "softh", "sweep", *map(str, arguments)], cwd=ROOT, text=True,
                          env=os.environ | places, capture_output=True, timeout=300, check=False)  # fmt: skip


def test_a_sweep_goes_on_where_it_was_and_names_what_failed(hub: Hub, tmp_path: Path) -> None:
    files = files_of(save_model(tmp_path / "model"))
    text = save_text(tmp_path / "text.jsonl")
    hub.repos["models/a/b"] = Repo({step: {**files, "of": step.encode()} for step in ("main", "step0", "step8")})

    def asked(revisions: str) -> Path:
        return recipe(
            tmp_path / "r.toml",
            f'[estimate]\ncorpus = "file:{text}"\ndocuments = 8\ncontext = 32\norders = [1]\ndraws = 2\n'
            f'[[model]]\nid = "a/b"\nrevisions = "{revisions}"\n[[model]]\nid = "a/gone"\n',
        )

    first = run(hub, tmp_path, asked("step0"))
    assert first.returncode == 2
    assert "1 estimated, 0 stored before, 1 failed: a/gone." in first.stdout
    assert "Traceback" not in first.stderr
    assert "'a/gone' is no folder here" in first.stderr
    rows = read.estimates(tmp_path / "data")
    assert rows["revision"].to_list() == ["step0"]
    again = run(hub, tmp_path, asked("step*"), "--dry-run", "--price", "2")
    missing, gone, together, said = again.stdout.splitlines()
    weights = len(files["model.safetensors"])
    least, most = (f"{size / 1e3:.1f} kB" for size in (weights, sum(map(len, files.values()))))
    assert missing.startswith("a/b@step8: ")
    assert float(least[:-3]) <= float(missing.split()[1]) <= float(most[:-3])
    assert gone.startswith("a/gone: its cost is not known. ")
    assert together.startswith(f"Together {missing.split()[1]} kB to fetch and ")
    assert together.endswith(" at 2.00 an hour.")
    assert "2 to estimate, 1 stored before" in said


def test_what_is_stored_is_told_by_its_weights(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    spec = EstimateSpec(model=str(folder))
    stored = {(spec.canonical(), sweep.digest(spec))}
    assert not sweep.is_missing(spec, stored)
    assert sweep.is_missing(EstimateSpec(model=str(folder), draws=2), stored)
    assert sweep.is_missing(spec, {(spec.canonical(), "other")})
