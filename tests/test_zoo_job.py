"""Jobs leave what the tables need: records, scores and how they ended; packed, carried and unpacked again."""

import json
import re
import tarfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from softh.callback import InformationPlane
from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.store import read
from softh.text import sources
from zoo import __main__ as command
from zoo import driver, posttrain, recipe, report, tokens
from zoo.bench import Bench
from zoo.job import execute
from zoo.place import Place
from zoo.train import Journal

RECIPE = """
demo = "good"
[sizes]
s = { width = 16, layers = 1, heads = 2, hidden = 32 }
[defaults]
architecture = "olmo2"
size = "s"
batch = 2
context = 128
warmup = 4
[measure]
documents = 6
context = 64
draws = 2
orders = [1, 2]
common = ["good"]
common_draws = 3
probed = ["good"]
score_documents = 6
cloze = 5
grammar = 4
[[trajectory]]
name = "good"
steps = 6
lr = 1e-2
checkpoints = 3
[[frontier]]
name = "blown"
steps = 60
lr = 1e6
[[posttraining]]
base = "good"
sft_epochs = 1
dpo_epochs = 1
batch = 4
rl_steps = 2
rl_batch = 8
rl_samples = 4
[[quantised]]
base = "good"
bits = [8, 3]
[[posttraining]]
base = "blown"
"""


def named(model: str) -> str:
    return f"toy-{model.replace('good', 'GOOD')} (OLMo 2 architecture, trained here)"


BITS = {q: f"{q[1]} bits, rounded to nearest in groups of 64" for q in ("q8", "q3")}
MADE = {
    named(model): (stage, named(parent), weights)
    for model, stage, parent, weights in (
        ("good-sft", "sft", "good", "float32, trained here"),
        ("good-dpo", "dpo", "good-sft", "float32, trained here"),
        ("good-rlvr", "rlvr", "good-dpo", "float32, trained here"),
        *((f"good-{copy}", "base", "good", bits) for copy, bits in BITS.items()),
    )
}
"""Each model that is made of the finished one: its stage, its parent, its weights in words."""
MEASURED = [(named("good"), step, step * 256, "base") for step in (0, 1, 6)] + [
    (model, None, None, stage) for model, (stage, _, _) in MADE.items()
]
"""Model, step, tokens and stage of all that is measured and, as `probed` asks, also probed."""
PLANES = {
    (*measured, text, labels)
    for measured in MEASURED
    for text, labels in product((str(tokens.BUILT_IN), sources.DEFAULT), ("tokens", "words"))
    if labels == "tokens" or measured[1] in (6, None)
}
"""The same with text and labels: before the end of the run by tokens alone, on the default text as `common` asks."""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A recipe all of whose jobs have run, on the text that every Python carries."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "recipe.toml").write_text(RECIPE)
    rows = [{"prompt": f"What is {n}?", "chosen": f"{n} ships.", "rejected": f"{n} is rude."} for n in range(20)]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    read_recipe = recipe.load(folder / "recipe.toml")
    place = Place(read_recipe, tokens.Library(tokens.BUILT_IN), folder / "pairs.jsonl", folder / "work")
    for each in read_recipe.jobs():
        execute(place, each.name, quiet=False)
    return place


def test_jobs_say_how_they_ended(zoo: Place) -> None:
    found = {row["name"]: row for row in zoo.summaries()}
    assert {name: row["status"] for name, row in found.items()} == {
        "good": "finished", "blown": "diverged", "good-post": "finished", "blown-post": "failed",
        "good-quantised": "finished",
    }  # fmt: skip
    assert "The loss of blown was" in found["blown"]["why"]
    assert "needs the model blown, which has not finished" in found["blown-post"]["why"]
    assert found["good"]["tokens"] == 6 * 2 * 128
    assert found["good"]["training"] > 0
    assert found["good"]["estimating"] > 0
    assert not any(found[name]["failures"] for name in ("good", "good-post", "good-quantised"))


def test_a_diverged_run_is_in_the_table_and_not_in_the_frontier(zoo: Place) -> None:
    assert ["blown", "diverged"] in [line.split()[:2] for line in report.table(zoo).splitlines()]
    left = {path.name for path in zoo.folder(zoo.recipe.run("blown")).iterdir()}
    assert left == {"summary.json"}


def test_packed_results_become_runs_of_the_store(zoo: Place, tmp_path: Path) -> None:
    report.pack(zoo, tmp_path / "out")
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["demo.tar.gz", "runs-0.tar", "summary.json"]
    assert report.unpack([tmp_path / "out"], tmp_path / "data") == len(PLANES) + len(MEASURED)
    rows = read.estimates(tmp_path / "data")
    assert not read.warnings(tmp_path / "data")
    planes = [
        (
            *(row[key] for key in ("model", "step", "tokens", "stage", "corpus")),
            EstimateSpec.from_json(row["spec"]).labels,
        )
        for row in rows.iter_rows(named=True)
    ]
    assert len(planes) == len(PLANES)
    assert set(planes) == PLANES
    models = {row["model"]: row for row in read.models(tmp_path / "data").iter_rows(named=True)}
    assert {name: (row["stage"], row["parent"], row["weights"]) for name, row in models.items()} == MADE | {
        named("good"): ("base", None, "float32, trained here")
    }
    assert {row["former"] for row in models.values()} == {
        f"zoo-{model} (trained here)" for model in ("good", "good-sft", "good-dpo", "good-rlvr", "good-q8", "good-q3")
    }


def test_folded_results_are_tables_with_scores(zoo: Place, tmp_path: Path) -> None:
    report.pack(zoo, tmp_path / "out")
    assert report.unpack([tmp_path / "out"], tmp_path / "data", fold=True) == len(PLANES) + len(MEASURED)
    assert not list((tmp_path / "data" / "runs").glob("*.parquet"))
    assert read.estimates(tmp_path / "data").height == len(PLANES)
    scores = read.benchmarks(tmp_path / "data")
    assert set(scores["model"]) == {named("good"), *MADE}
    assert scores["source"].unique().to_list() == [zoo.recipe.source]


def test_scores_belong_to_steps_and_the_last_also_to_the_model(zoo: Place, tmp_path: Path) -> None:
    report.pack(zoo, tmp_path / "out")
    report.unpack([tmp_path / "out"], tmp_path)
    rows = json.loads((tmp_path / "zoo" / "scores.json").read_text())
    assert set(rows[0]) == {"model", "revision", "task", "metric", "score", "stderr", "source"}
    steps = {(named("good"), revision) for revision in ("step0", "step1", "step6", None)}
    finished = {(model, None) for model in MADE}
    expected = {"grammar": steps | finished, "preference": finished, "grammar: right word": finished}
    for task, models in expected.items():
        found = [(row["model"], row["revision"]) for row in rows if row["task"] == task]
        assert len(found) == len(models)
        assert set(found) == models


def test_the_demo_checkpoint_opens_as_any_other(zoo: Place, tmp_path: Path) -> None:
    report.pack(zoo, tmp_path)
    with tarfile.open(tmp_path / "demo.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "toy-good", dtype="auto")
    whole = AutoModelForCausalLM.from_pretrained(zoo.folder(zoo.recipe.run("good")) / "model")
    assert model.dtype == torch.bfloat16
    for name, weight in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight.to(torch.bfloat16))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "toy-good")
    assert tokenizer is not None
    assert tokenizer.eos_token == tokens.END


def test_a_job_that_ran_again_gives_the_same_numbers(zoo: Place, tmp_path: Path) -> None:
    again = replace(zoo, work=tmp_path)
    execute(again, "good", quiet=False)
    run = zoo.recipe.run("good")
    for name in ("at-good-00000000.json.gz", "at-good-00000006.json.gz"):
        first, second = (report.found(place.folder(run) / name) for place in (zoo, again))
        assert [record["measures"] for record in first["records"]] == [
            record["measures"] for record in second["records"]
        ]
        assert first["scores"] == second["scores"]


@pytest.mark.parametrize(("lack", "records"), [(1, 5), (99, 1)])
def test_an_estimate_waits_for_memory_and_at_last_goes_without(
    zoo: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lack: int, records: int
) -> None:
    monkeypatch.setattr("zoo.bench.time.sleep", lambda seconds: None)
    tries: list[int | None] = []
    whole = InformationPlane.estimate

    def estimate(plane: InformationPlane, model: torch.nn.Module, step: int | None) -> None:
        tries.append(step)
        if len(tries) <= lack:
            error = InputError("There is no room.")
            error.__context__ = torch.OutOfMemoryError()  # as an error raised from another has it
            raise error
        whole(plane, model, step)

    monkeypatch.setattr(InformationPlane, "estimate", estimate)
    run, journal = zoo.recipe.run("good"), Journal()
    place = replace(zoo, work=tmp_path)
    model = AutoModelForCausalLM.from_pretrained(zoo.folder(run) / "model")
    Bench(place, run, "good", "base", journal, 6).at(model, 6)
    assert len(report.found(place.folder(run) / "at-good-00000006.json.gz")["records"]) == records
    assert len(journal.failures) == 5 - records  # four planes and a probe, which needs no plane


def test_archives_are_small_and_hold_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PART", 100)
    files = [tmp_path / str(number) for number in range(20)]
    for path in files:
        path.write_bytes(bytes(30))
    groups = report.parts(files)
    assert [path for group in groups for path in group] == files
    assert all(len(group) <= 4 for group in groups)


def test_what_was_packed_is_not_run_again(zoo: Place, tmp_path: Path) -> None:
    report.pack(zoo, tmp_path / "out")
    report.restore(tmp_path / "out", tmp_path / "work")
    place = replace(zoo, work=tmp_path / "work")
    waiting = driver.Driver(place, slots=1, minutes=1, say=[].append).order(None)
    assert [each.name for each in waiting] == ["blown-post"]
    assert place.summaries() == zoo.summaries()


def test_summaries_of_several_machines_become_one() -> None:
    first = [{"name": "a", "status": "finished", "step": 1}, {"name": "b", "status": "waiting"}]
    second = [
        {"name": "a", "status": "waiting"},
        {"name": "b", "status": "diverged"},
        {"name": "c", "status": "failed"},
    ]
    assert [(row["name"], row["status"]) for row in report.merged([first, second])] == [
        ("a", "finished"), ("b", "diverged"), ("c", "failed"),
    ]  # fmt: skip


def test_another_setting_is_another_job(zoo: Place) -> None:
    run = zoo.recipe.run("good")
    assert zoo.ended(run)
    assert not zoo.ended(replace(run, lr=0.5))
    assert not replace(zoo, library=tokens.Library(tokens.BUILT_IN, limit=3)).ended(run)
    books = [replace(zoo, library=tokens.Library(Path(folder))) for folder in ("here", "there")]
    assert books[0].folder(run) == books[1].folder(run)
    measure = replace(zoo.recipe.measure, documents=7)
    assert not replace(zoo, recipe=replace(zoo.recipe, measure=measure)).ended(run)


def test_the_driver_runs_jobs_in_processes_of_their_own(zoo: Place, tmp_path: Path) -> None:
    said: list[str] = []
    place = replace(zoo, work=tmp_path)
    driver.Driver(place, slots=2, minutes=2, say=said.append).run(["blown", "blown-post"])
    found = {row["name"]: row["status"] for row in place.summaries()}
    assert (found["blown"], found["blown-post"], found["good"]) == ("diverged", "failed", "waiting")
    assert any("blown diverged" in line for line in said)


def test_without_a_gpu_a_long_recipe_is_an_estimate_and_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main(["all", "zoo/recipe.toml", "--work", str(tmp_path)]) == 2
    assert re.search(r"\d+ (h|days) on this CPU", error := capsys.readouterr().err)
    assert "zoo/small.toml" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["plan", "nothing.toml"], "nothing.toml"),
        (["run", "zoo/small.toml", "nobody"], "nobody"),
        (["all", "zoo/small.toml", "--only", "nobody"], "nobody"),
        (["unpack", "zoo"], "runs-0.tar"),
        (["all", "zoo/small.toml", "--text", "nowhere"], "nowhere"),
    ],
)
def test_what_a_person_can_mend_is_a_sentence(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    extra = ["--work", str(tmp_path)] if arguments[0] != "unpack" else []
    assert command.main(arguments + extra) == 2
    assert named in capsys.readouterr().err


def test_a_missing_text_is_a_sentence() -> None:
    with pytest.raises(InputError, match="python-docs"):
        tokens.Library(Path("nowhere")).train()


def test_finished_models_are_probed_and_pairs_of_post_training_told_apart(zoo: Place, tmp_path: Path) -> None:
    report.pack(zoo, tmp_path / "out")
    report.unpack([tmp_path / "out"], tmp_path / "data")
    probes = read.probes(tmp_path / "data")
    probed = list(probes.select("model", "step", "tokens", "stage").iter_rows())
    assert len(probed) == len(MEASURED)
    assert set(probed) == set(MEASURED)
    assert probes["settings"].n_unique() == 1
    roles = posttrain.roles(zoo.pairs)
    train, held_out = posttrain.load(zoo.pairs, tokens.load_tokenizer(), 128)
    assert (
        (len(train), len(held_out))
        == (15, 5)
        == tuple(list(roles.values()).count(role) for role in (posttrain.SEEN, posttrain.UNSEEN))
    )
