"""Units of a sweep: each ends once, what is lost is tried again, and the numbers do not depend on where they ran."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from softh.spec import EstimateSpec
from softh.sweeps import clusters, local
from softh.sweeps import engine as engines
from tests.hub import Hub, Repo, commit, files_of, serve
from tests.tiny import save_model, save_text


class Scripted(engines.Engine):
    """An engine of two places whose answers are written down beforehand, by model and attempt."""

    def __init__(self, answers: dict[str, list[engines.Answer]]) -> None:
        self.answers, self.started, self.prepared, self.stopped, self.closed, self.open = answers, [], [], [], False, 0

    def room(self, unit: engines.Unit) -> bool:
        return self.open < 2

    def start(self, unit: engines.Unit) -> Any:
        self.open += 1
        self.started.append(engines.title(unit))
        return len(self.started) - 1

    def done(self, running: Sequence[Any]) -> Sequence[Any]:
        assert len(running) == self.open
        return running[-1:]

    def answer(self, running: Any) -> engines.Answer:
        self.open -= 1
        model = self.started[running]
        return self.answers[model][self.started[:running].count(model)]

    def stop(self, running: Any) -> None:
        self.open -= 1
        self.stopped.append(self.started[running])

    def prepare(self, unit: engines.Unit, waiting: int) -> None:
        self.prepared.append(engines.title(unit))

    def close(self) -> None:
        self.closed = True


def specs(*models: str) -> list[EstimateSpec]:
    return [EstimateSpec(model=model) for model in models]


def test_every_unit_ends_once_and_a_lost_one_is_tried_again() -> None:
    engine = Scripted({"a": [{"record": {"n": 1}}], "b": [{"lost": "gone"}, {"record": {"n": 2}}],
                       "c": [{"refused": "no"}, {"refused": "no."}], "d": [{"record": {"n": 4}}]})  # fmt: skip
    outcomes = {outcome.spec.model: outcome for outcome in engines.run(specs("a", "b", "c", "d"), engine)}
    assert {name: outcome.record for name, outcome in outcomes.items()} == {
        "a": {"n": 1}, "b": {"n": 2}, "c": None, "d": {"n": 4},
    }  # fmt: skip
    assert outcomes["c"].why == "no."
    assert sorted(engine.started) == ["a", "b", "b", "c", "c", "d"]
    assert engine.closed


def test_the_next_unit_is_prepared_while_others_run_and_who_runs_is_told() -> None:
    engine = Scripted({name: [{"record": {}}] for name in "abcd"})
    told: list[Sequence[str]] = []
    assert len(list(engines.run(specs(*"abcd"), engine, watch=told.append))) == 4
    assert engine.prepared == ["c", "d"]
    assert told == [["a", "b"], ["a", "c"], ["a", "d"], ["a"]]


def test_a_driver_that_stops_ends_what_runs_and_closes_its_engine() -> None:
    engine = Scripted({"a": [{"record": {}}], "b": [{"record": {}}]})
    for _ in engines.run(specs("a", "b"), engine):
        break
    assert engine.stopped == ["a"]
    assert engine.closed


def test_a_shard_that_fails_stops_the_others_and_the_next_estimate_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path))
    refused = {"refused": "It is not there."}
    parts = [f"documents {number} of 3" for number in (1, 2, 3)]
    engine = Scripted({f"{model}, {part}": [refused, refused] for model in "ab" for part in parts})
    for outcome in engines.run_split(specs("a", "b"), engine, 3):
        assert (outcome.record, outcome.why) == (None, "It is not there.")
        assert engine.open == 0
    assert engine.closed


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[EstimateSpec]:
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    text = save_text(tmp_path / "text.jsonl")
    folders = [save_model(tmp_path / f"run/step{seed}", seed=seed) for seed in range(4)]
    shared = {"corpus": f"file:{text}", "documents": 12, "context": 32, "orders": (1,), "draws": 2}
    return [EstimateSpec(model=str(folder), **shared) for folder in folders]


def numbers(record: dict[str, Any] | None) -> list[Any]:
    assert record is not None
    return record["measures"]


def test_a_process_of_its_own_gives_the_same_numbers_to_the_bit(tiny: list[EstimateSpec]) -> None:
    [outcome] = engines.run(tiny[:1], local.Local("cpu"))
    assert numbers(outcome.record) == numbers(engines.work(tiny[0], "cpu")["record"])


def test_a_unit_whose_process_is_killed_is_tried_again(tiny: list[EstimateSpec]) -> None:
    engine = local.Local("cpu")
    killed: list[int] = []
    start = engine.start

    def start_and_kill(spec: EstimateSpec) -> Any:
        unit = start(spec)
        if not killed:
            killed.append(engine._running[unit].process.pid)
            os.kill(killed[0], signal.SIGKILL)
        return unit

    engine.start = start_and_kill
    [outcome] = engines.run(tiny[:1], engine)
    assert killed
    assert numbers(outcome.record)


def test_what_its_author_can_mend_comes_back_as_a_sentence(tiny: list[EstimateSpec], tmp_path: Path) -> None:
    [outcome] = engines.run([EstimateSpec(model=str(tmp_path / "nothing"))], local.Local("cpu"))
    assert outcome.record is None
    assert "does not exist" in outcome.why


def test_units_take_the_gpus_they_need_and_wait_for_them(tiny: list[EstimateSpec]) -> None:
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    engine = local.Local("cpu")
    engine.gpus = ["4", "GPU-b", "2"]  # processes on a CPU do not look at the names they are given
    engine._cards = {(spec.model, None): count for spec, count in zip(tiny, (1, 2, 1, 3), strict=True)}
    try:
        for spec in tiny[:2]:
            assert engine.room(spec)
            engine.start(spec)
        assert [unit.cards for unit in engine._running.values()] == [(0,), (1, 2)]
        begun = [psutil.Process(unit.process.pid) for unit in engine._running.values()]
        while any("spawn_main" not in " ".join(process.cmdline()) for process in begun):
            time.sleep(0.01)  # a fork of this process until it begins
        assert [process.environ()["CUDA_VISIBLE_DEVICES"] for process in begun] == ["4", "GPU-b,2"]
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == before
        assert not engine.room(tiny[2])
    finally:
        for running in list(engine._running):
            engine.stop(running)


def test_the_next_process_begins_while_its_gpu_is_busy_and_none_is_left(tiny: list[EstimateSpec]) -> None:
    engine = local.Local("cpu")
    engine.gpus = ["0"]
    begun: list[tuple[int, int]] = []
    begin = engine._begin

    def noted(cards: Sequence[int]) -> Any:
        made = begin(cards)
        begun.append((made.process.pid, len(engine._running)))
        return made

    engine._begin = noted
    outcomes = list(engines.run(tiny[:2], engine))
    assert all(numbers(outcome.record) for outcome in outcomes)
    assert [running for _, running in begun] == [0, 1]
    assert not any(psutil.pid_exists(pid) for pid, _ in begun)


def test_no_more_processes_wait_than_units(tiny: list[EstimateSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = local.Local("cpu")
    engine.gpus = ["0", "1", "2"]
    monkeypatch.setattr(engine, "_begin", lambda cards: cards)
    for number, cards in enumerate([(0,), (1,), (2,)]):
        engine._running[number] = local._Running(None, cards)
    engine.prepare(tiny[0], 2)
    assert len(engine._ready) == 2


def test_a_process_that_died_while_it_waited_is_not_given_a_unit(tiny: list[EstimateSpec]) -> None:
    engine = local.Local("cpu")
    engine._ready[0,] = waiting = engine._begin((0,))
    waiting.process.kill()
    waiting.process.join()
    running = engine.start(tiny[0])
    while not engine.done([running]):
        pass
    assert numbers(engine.answer(running)["record"])


def test_a_number_of_gpus_that_was_asked_for_is_what_units_take(tiny: list[EstimateSpec]) -> None:
    engine = local.Local("cpu", gpus=2)
    assert engine.cards(tiny[0]) == 1  # there are none
    engine.gpus = ["0", "1", "2", "3"]
    assert engine.cards(tiny[0]) == 2


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield server


@pytest.mark.real
def test_the_next_checkpoint_comes_while_one_runs_comes_once_and_leaves_behind_it(
    hub: Hub, tiny: list[EstimateSpec], tmp_path: Path
) -> None:
    repo = hub.repos["models/a/b"] = Repo({
        f"step{seed}": files_of(Path(spec.model)) for seed, spec in enumerate(tiny[:3])
    })  # fmt: skip
    weights = {name: f"GET /a/b/resolve/{commit(files)}/model.safetensors" for name, files in repo.revisions.items()}
    asked = [replace(tiny[0], model="a/b", revision=name) for name in weights]
    seen: list[tuple[str | None, int]] = []
    for outcome in engines.run(asked, local.Local("cpu", free=True)):
        assert outcome.record is not None, outcome.why
        seen.append((outcome.spec.revision, sum(line in hub.requests for line in weights.values())))
    assert seen == [("step0", 2), ("step1", 3), ("step2", 3)]
    assert [hub.requests.count(line) for line in weights.values()] == [1, 1, 1]
    assert not list((tmp_path / "hf").rglob("*.safetensors"))
    assert not [path for path in (tmp_path / "hf" / "hub").rglob("blobs/*") if path.stat().st_size > 1000]


@pytest.mark.real
def test_submitit_gives_the_same_numbers(tiny: list[EstimateSpec]) -> None:
    found = {outcome.spec.model: numbers(outcome.record) for outcome in engines.run(tiny[:2], clusters.Slurm("cpu"))}
    assert found == {spec.model: numbers(engines.work(spec, "cpu")["record"]) for spec in tiny[:2]}


@pytest.mark.real
def test_a_ray_cluster_that_loses_a_node_half_way_completes_with_the_same_numbers(tiny: list[EstimateSpec]) -> None:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    other = cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False, runtime_env=clusters.surroundings())
    try:
        found: dict[str, Any] = {}
        began = time.monotonic()
        for outcome in engines.run(tiny, clusters.Ray("cpu")):
            assert outcome.spec.model not in found
            found[outcome.spec.model] = numbers(outcome.record)
            if other is not None:
                cluster.remove_node(other, allow_graceful=False)
                other = None
            assert time.monotonic() - began < 240
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert found == {spec.model: numbers(engines.work(spec, "cpu")["record"]) for spec in tiny}
