"""The folder of a training run is a trajectory: which folders are its checkpoints, at which step, in which order."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2Config

from softh.checkpoints.resolve import resolve
from softh.checkpoints.training_runs import find_run, position
from softh.cli.main import main
from softh.cost.preflight import preflight
from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.store import read
from softh.sweeps import recipe as sweep
from tests.tiny import save_model, save_text

FILES = ("config.json", "tokenizer.json", "model.safetensors")


def checkpoint(folder: Path, **state: Any) -> Path:
    """A folder with the names of the files of a model, and what a trainer wrote beside them."""
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).touch()
    if state:
        (folder / "trainer_state.json").write_text(json.dumps(state))
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "saved")


def place(model: Path | str) -> tuple[Any, ...]:
    found = resolve(str(model))
    return found.name, found.revision, found.step, found.tokens


@pytest.mark.parametrize(
    ("path", "revision", "step"),
    [
        ("run/checkpoint-500", "checkpoint-500", 500),  # transformers, TRL, axolotl, LlamaFactory
        ("run/checkpoint-500-merged", "checkpoint-500-merged", 500),
        ("run/global_step500", "global_step500", 500),  # DeepSpeed
        ("run/global_step500_hf", "global_step500_hf", 500),  # OpenRLHF
        ("run/global_step_100/actor/huggingface", "global_step_100", 100),  # verl
        ("run/iter_0001000", "iter_0001000", 1000),  # Megatron-LM
        ("run/iter_0001000/hf", "iter_0001000", 1000),
        ("run/iter-000500-ckpt", "iter-000500-ckpt", 500),  # LitGPT
        ("run/step-00001000", "step-00001000", 1000),
        ("run/checkpoints/step_100", "step_100", 100),
        ("run/checkpoints/step_100/policy/hf", "step_100", 100),
        ("run/step1000-unsharded", "step1000-unsharded", 1000),  # OLMo
        ("run/step1000-hf", "step1000-hf", 1000),
        ("run/step1000-tokens4B", "step1000-tokens4B", 1000),
        ("run/epoch_1_step_300", "epoch_1_step_300", 300),  # NeMo Automodel
        ("run/epoch=1-step=300", "epoch=1-step=300", 300),  # Lightning
        ("run/a--val_loss=1.44-step=49-consumed_samples=800.0-last", None, 49),  # NeMo
        ("run/ep0-ba100", "ep0-ba100", 100),  # Composer
        ("run/epoch_3", "epoch_3", 3),  # torchtune
        ("run/checkpoint-epoch-3", "checkpoint-epoch-3", 3),
        ("run/ckpt_358", "ckpt_358", 358),
        ("run/checkpoints/20", "20", 20),  # nanotron
    ],
)
def test_folders_of_every_trainer_have_their_step(tmp_path: Path, path: str, revision: str | None, step: int) -> None:
    found = position(checkpoint(tmp_path / path))
    assert found == (tmp_path / "run", revision or path.removeprefix("run/"), step, None)
    (only,) = find_run(tmp_path / "run").checkpoints
    assert (only.path, only.position) == (tmp_path / path, found)


@pytest.mark.parametrize("name", ["my-run", "7", "final", "hf", "llama-3", "step", "checkpoint", "v2", "epochs"])
def test_other_folders_are_no_checkpoints(tmp_path: Path, name: str) -> None:
    assert position(checkpoint(tmp_path / "models" / name)) is None
    assert find_run(tmp_path / "models").checkpoints == ()


def test_checkpoints_come_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (1000, 90, 100, 9):
        checkpoint(tmp_path / f"checkpoint-{step}")
    run = find_run(tmp_path)
    assert [each.position.step for each in run.checkpoints] == [9, 90, 100, 1000]
    assert run.left_out == ()


def test_numbers_alone_are_steps_where_there_are_several(tmp_path: Path) -> None:
    for step in (20, 100):
        checkpoint(tmp_path / "run" / str(step))
    assert [each.position.step for each in find_run(tmp_path / "run").checkpoints] == [20, 100]


def test_an_epoch_is_a_step_only_where_nothing_counts_steps(tmp_path: Path) -> None:
    for epoch in range(3):
        checkpoint(tmp_path / "epochs" / f"epoch_{epoch}")
        checkpoint(tmp_path / "both" / f"epoch_{epoch}")
        checkpoint(tmp_path / "states" / f"epoch_{epoch}", **({"global_step": 50 * epoch} if epoch else {}))
    checkpoint(tmp_path / "both" / "step_100")
    steps = {
        run: [each.position.step for each in find_run(tmp_path / run).checkpoints]
        for run in ("epochs", "both", "states")
    }
    assert steps == {"epochs": [0, 1, 2], "both": [100, None, None, None], "states": [50, 100, None]}


def test_the_state_of_the_trainer_gives_step_and_tokens(saved: Path, tmp_path: Path) -> None:
    def copy(path: str, **files: object) -> Path:
        folder = Path(shutil.copytree(saved, tmp_path / path))
        for name, content in files.items():
            (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return folder

    counted = {"global_step": 500, "num_input_tokens_seen": 2_000_000}
    assert place(copy("run/checkpoint-500", trainer_state=counted)) == ("run", "checkpoint-500", 500, 2_000_000)
    assert place(copy("run/epoch_1", trainer_state={**counted, "num_input_tokens_seen": 0})) == (
        "run",
        "epoch_1",
        500,
        None,
    )
    # axolotl counts apart
    axolotl = {"trainer_state": {"global_step": 20}, "tokens_state": {"total": 81_920, "trainable": 4_000}}
    assert place(copy("ax/checkpoint-20", **axolotl)) == ("ax", "checkpoint-20", 20, 81_920)
    assert place(copy("cut/checkpoint-7", trainer_state='{"global_step": ')) == ("cut", "checkpoint-7", 7, None)
    assert place(copy("whole", trainer_state={"global_step": 600, "best_model_checkpoint": None})) == (
        "whole",
        "local",
        600,
        None,
    )
    best = {"global_step": 600, "best_model_checkpoint": "whole/checkpoint-400"}
    assert place(copy("top", trainer_state=best)) == ("top", "local", None, None)
    assert place(copy("plain")) == ("plain", "local", None, None)


def test_names_that_say_nothing_have_their_parent_s(saved: Path, tmp_path: Path) -> None:
    for path in ("run-a/final", "run-b/final", "run-c/output/merged", "output/checkpoint-5"):
        shutil.copytree(saved, tmp_path / "x" / path)
    assert place(tmp_path / "x/run-a/final")[0] == "run-a/final"
    assert place(tmp_path / "x/run-b/final")[0] == "run-b/final"
    assert place(tmp_path / "x/run-c/output/merged")[0] == "run-c/output/merged"
    assert place(tmp_path / "x/output/checkpoint-5") == ("x/output", "checkpoint-5", 5, None)


def test_a_link_is_the_checkpoint_that_it_leads_to(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "run" / "checkpoint-10")
    (tmp_path / "run" / "latest").symlink_to("checkpoint-10")
    assert place(tmp_path / "run" / "latest") == ("run", "checkpoint-10", 10, None)


def test_a_run_is_told_from_a_model_in_a_sentence(saved: Path, tmp_path: Path) -> None:
    for step in (10, 20, 30, 40):
        shutil.copytree(saved, tmp_path / "my-run" / f"checkpoint-{step}")
    run = str(tmp_path / "my-run")
    for read_ in (resolve, lambda model: preflight(EstimateSpec(model=model))):
        with pytest.raises(InputError) as refusal:
            read_(run)
        assert "training run with 4 checkpoints (checkpoint-10, checkpoint-20, checkpoint-30 and 1 more)" in str(
            refusal.value
        )
        assert f"`softh sweep {run}`" in str(refusal.value)
    shutil.copytree(saved, tmp_path / "models" / "a")
    with pytest.raises(InputError, match=r"no model itself, but a in it does; .*name .*models/a"):
        resolve(str(tmp_path / "models"))
    assert resolve(run, "checkpoint-20").digest == resolve(f"{run}/checkpoint-20").digest
    with pytest.raises(InputError, match=r"no checkpoint 'step3' among its 4 \(checkpoint-10"):
        resolve(run, "step3")


def test_a_run_with_a_model_of_its_own_is_both(saved: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(saved, tmp_path / "run"))
    for step in (20, 3):
        checkpoint(run / f"checkpoint-{step}")
    assert place(run) == ("run", "local", None, None)
    (tmp_path / "r.toml").write_text(f'[[model]]\nid = "{run}"\n')
    assert [spec.model for spec in sweep.load(tmp_path / "r.toml").specs()] == [str(run)]
    assert [Path(spec.model).name for spec in sweep.load(run).specs()] == ["checkpoint-3", "checkpoint-20"]


def specs(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return [Path(spec.model).name for spec in sweep.load(path).specs(lambda model: [])]


def test_recipes_take_runs_with_names_patterns_and_numbers_of_checkpoints(tmp_path: Path) -> None:
    for step in (1, 10, 100, 1000):
        checkpoint(tmp_path / "run" / f"checkpoint-{step}")
        checkpoint(tmp_path / "a*b" / f"step_{step}")
    run, file = f'[[model]]\nid = "{tmp_path}/run"\n', tmp_path / "r.toml"
    every = [f"checkpoint-{step}" for step in (1, 10, 100, 1000)]
    assert specs(file, run) == every
    assert specs(file, run + 'revisions = ["checkpoint-*"]') == every
    assert specs(file, run + 'revisions = ["checkpoint-100", "checkpoint-1"]') == ["checkpoint-1", "checkpoint-100"]
    assert specs(file, run + "checkpoints = 3") == ["checkpoint-1", "checkpoint-100", "checkpoint-1000"]
    pattern = f'[[model]]\nid = "{tmp_path}/run/checkpoint-*"\n'
    assert specs(file, pattern) == every
    assert specs(file, pattern + "checkpoints = 2") == ["checkpoint-1", "checkpoint-1000"]
    assert specs(file, f'[[model]]\nid = "{tmp_path}/a*b"\n') == ["step_1", "step_10", "step_100", "step_1000"]
    with pytest.raises(InputError, match="no checkpoint like 'step\\*' among its 4"):
        specs(file, run + 'revisions = ["step*"]')
    with pytest.raises(InputError, match="a pattern that no path has"):
        specs(file, f'[[model]]\nid = "{tmp_path}/none-*"\n')
    assert [Path(spec.model).name for spec in sweep.load(tmp_path / "run").specs()] == every
    with pytest.raises(InputError, match="holds no checkpoint of a training run"):
        sweep.load(tmp_path)


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["softh", *map(str, arguments)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


SMALL = ("--documents", 4, "--context", 16, "--draws", 1, "--bins", 4, "--folds", 2, "--orders", "1", "--device", "cpu")


def test_one_command_estimates_a_run_and_names_what_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    text, data = save_text(tmp_path / "text.jsonl", 8), tmp_path / "data"
    for seed, step in enumerate((100, 20, 3)):
        save_model(tmp_path / "run" / f"checkpoint-{step}", seed=seed)
    (tmp_path / "run" / "checkpoint-200").mkdir()
    (tmp_path / "run" / "checkpoint-200" / "pytorch_model.bin").touch()
    options = ("--corpus", f"file:{text}", *SMALL, "--data", data)
    assert run_main(monkeypatch, "estimate", tmp_path / "run", *options) == 0
    output = capfd.readouterr()
    assert [output.out.index(f"checkpoint-{step}") for step in (3, 20, 100)] == sorted(
        output.out.index(f"checkpoint-{step}") for step in (3, 20, 100)
    )
    assert "checkpoint-200 has no config.json" in output.err
    rows = read.trajectory(data, correction="corrected")
    assert rows.select("model", "revision", "step").rows() == [
        ("run", "checkpoint-3", 3), ("run", "checkpoint-20", 20), ("run", "checkpoint-100", 100),
    ]  # fmt: skip
    assert run_main(monkeypatch, "sweep", tmp_path / "run", "--dry-run", "--data", tmp_path / "other") == 0
    output = capfd.readouterr()
    assert output.out.splitlines()[-1] == "3 to estimate, 0 stored before, 0 failed."
    assert "checkpoint-200 has no config.json" in output.err


def test_two_runs_with_checkpoints_of_one_name_keep_what_is_known_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    text, data = save_text(tmp_path / "text.jsonl", 8), tmp_path / "data"
    gpt2 = GPT2Config(vocab_size=300, n_embd=16, n_layer=3, n_head=2, n_positions=128)
    models = [save_model(tmp_path / "a/run/checkpoint-10"), save_model(tmp_path / "b/run/checkpoint-10", gpt2)]
    for model in models:
        assert run_main(monkeypatch, "estimate", model, "--corpus", f"file:{text}", *SMALL, "--data", data) == 0
    columns = ("model", "revision", "step", "architecture", "layers", "source")
    expected = {
        ("run", "checkpoint-10", 10, "LlamaForCausalLM", 2, str(models[0])),
        ("b/run", "checkpoint-10", 10, "GPT2LMHeadModel", 3, str(models[1])),
    }
    for command in (["list"], ["pack"], ["list"]):
        assert set(read.estimates(data).select(columns).iter_rows()) == expected
        assert run_main(monkeypatch, *command, "--data", data) == 0
    assert "b/run" in capfd.readouterr().out
