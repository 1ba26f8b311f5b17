"""Tasks of a sweep: each ends once, what is lost is tried again, and the numbers do not depend on where they ran."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import psutil
import pytest

from softh.spec import EstimateSpec
from softh.sweeps import clusters, local
from softh.sweeps import engine as engines
from tests.hub import Hub, Repo, commit, files_of, serve
from tests.tiny import save_model, save_text

Result = engines.TaskResult


class Scripted(engines.Engine):
    """An engine of two places whose results are given beforehand, by model and attempt."""

    def __init__(self, results: dict[str, list[Result]]) -> None:
        self.results, self.started, self.prepared, self.cancelled, self.closed, self.open = (
            results,
            [],
            [],
            [],
            False,
            0,
        )

    def has_capacity(self, task: engines.Task) -> bool:
        return self.open < 2

    def submit(self, task: engines.Task) -> Any:
        self.open += 1
        self.started.append(engines.task_title(task))
        return len(self.started) - 1

    def poll(self, handles: Sequence[Any]) -> Sequence[Any]:
        assert len(handles) == self.open
        return handles[-1:]

    def result(self, handle: Any) -> Result:
        self.open -= 1
        model = self.started[handle]
        return self.results[model][self.started[:handle].count(model)]

    def cancel(self, handle: Any) -> None:
        self.open -= 1
        self.cancelled.append(self.started[handle])

    def prepare(self, task: engines.Task, waiting: int) -> None:
        self.prepared.append(engines.task_title(task))

    def close(self) -> None:
        self.closed = True


def done(**rows: Any) -> Result:
    return Result(record=rows)


def specs(*models: str) -> list[EstimateSpec]:
    return [EstimateSpec(model=model) for model in models]


def test_every_task_ends_once_and_a_lost_one_is_tried_again() -> None:
    engine = Scripted({"a": [done(n=1)], "b": [Result(crashed="gone"), done(n=2)],
                       "c": [Result(error="no"), Result(error="no.")], "d": [done(n=4)]})  # fmt: skip
    outcomes = {outcome.spec.model: outcome for outcome in engines.run(specs("a", "b", "c", "d"), engine)}
    assert {name: outcome.record for name, outcome in outcomes.items()} == {
        "a": {"n": 1}, "b": {"n": 2}, "c": None, "d": {"n": 4},
    }  # fmt: skip
    assert outcomes["c"].failure == "no."
    assert sorted(engine.started) == ["a", "b", "b", "c", "c", "d"]
    assert engine.closed


def test_the_next_task_is_prepared_while_others_run_and_the_running_ones_are_reported() -> None:
    engine = Scripted({name: [done()] for name in "abcd"})
    told: list[Sequence[str]] = []
    assert len(list(engines.run(specs(*"abcd"), engine, watch=told.append))) == 4
    assert engine.prepared == ["c", "d"]
    assert told == [["a", "b"], ["a", "c"], ["a", "d"], ["a"]]


def test_a_driver_that_stops_ends_what_runs_and_closes_its_engine() -> None:
    engine = Scripted({"a": [done()], "b": [done()]})
    for _ in engines.run(specs("a", "b"), engine):
        break
    assert engine.cancelled == ["a"]
    assert engine.closed


def test_a_shard_that_fails_stops_the_others_and_the_next_estimate_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path))
    refused = Result(error="It is not there.")
    parts = [f"documents {number} of 3" for number in (1, 2, 3)]
    engine = Scripted({f"{model}, {part}": [refused, refused] for model in "ab" for part in parts})
    for outcome in engines.run_sharded(specs("a", "b"), engine, 3):
        assert (outcome.record, outcome.failure) == (None, "It is not there.")
        assert engine.open == 0
    assert engine.closed


@pytest.mark.parametrize("given", [{}, {"record": {}, "error": "no"}, {"partial": 1, "crashed": "gone"}])
def test_a_result_is_exactly_one_thing(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected exactly one of"):
        Result(**given)


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


def test_a_task_whose_process_is_killed_is_tried_again(tiny: list[EstimateSpec]) -> None:
    engine = local.LocalEngine("cpu")
    killed: list[int] = []
    submit = engine.submit

    def submit_and_kill(spec: EstimateSpec) -> Any:
        handle = submit(spec)
        if not killed:
            [process] = active_children()
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)
        return handle

    engine.submit = submit_and_kill
    [outcome] = engines.run(tiny[:1], engine)
    assert killed
    assert numbers(outcome.record)


def test_what_its_author_can_mend_comes_back_as_a_sentence(tiny: list[EstimateSpec], tmp_path: Path) -> None:
    [outcome] = engines.run([EstimateSpec(model=str(tmp_path / "nothing"))], local.LocalEngine("cpu"))
    assert outcome.record is None
    assert "does not exist" in outcome.failure


def test_tasks_take_the_gpus_they_need_and_wait_for_them(
    tiny: list[EstimateSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    engine = local.LocalEngine("cpu")
    engine.gpus = ["4", "GPU-b", "2"]  # processes on a CPU do not look at the names they are given
    needed = {spec.model: count for spec, count in zip(tiny, (1, 2, 1, 3), strict=True)}
    monkeypatch.setattr(engine, "gpus_needed", lambda spec: needed[spec.model])
    running, begun = [], []
    try:
        for spec in tiny[:2]:
            assert engine.has_capacity(spec)
            running.append(engine.submit(spec))
            begun += [psutil.Process(each.pid) for each in active_children() if each.pid not in {p.pid for p in begun}]
        while any("spawn_main" not in " ".join(process.cmdline()) for process in begun):
            time.sleep(0.01)  # a fork of this process until it begins
        assert [process.environ()["CUDA_VISIBLE_DEVICES"] for process in begun] == ["4", "GPU-b,2"]
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == before
        assert not engine.has_capacity(tiny[2])
    finally:
        for handle in running:
            engine.cancel(handle)


def test_processes_give_the_same_numbers_and_the_next_begins_while_its_gpu_is_busy(tiny: list[EstimateSpec]) -> None:
    engine = local.LocalEngine("cpu")
    engine.gpus = ["0"]
    seen: set[tuple[int, int]] = set()
    poll = engine.poll

    def poll_and_count(handles: Sequence[Any]) -> Any:
        seen.add((len(handles), len(active_children())))
        return poll(handles)

    engine.poll = poll_and_count
    outcomes = {outcome.spec: numbers(outcome.record) for outcome in engines.run(tiny[:2], engine)}
    assert outcomes[tiny[0]] == numbers(engines.run_task(tiny[0], "cpu").record)  # to the bit
    assert len(outcomes) == 2
    assert (1, 2) in seen  # one runs, and another process waits for its GPU
    assert max(running for running, _ in seen) == 1
    assert active_children() == []


def test_no_more_processes_wait_than_tasks(tiny: list[EstimateSpec]) -> None:
    engine = local.LocalEngine("cpu")
    engine.gpus = ["0", "1"]
    running = [engine.submit(spec) for spec in tiny[:2]]
    try:
        for _ in range(2):
            engine.prepare(tiny[2], 1)
            assert len(active_children()) == 3
    finally:
        for handle in running:
            engine.cancel(handle)
        engine.close()
    assert active_children() == []


def test_a_process_that_died_while_it_waited_is_given_no_task(tiny: list[EstimateSpec]) -> None:
    engine = local.LocalEngine("cpu")
    engine.gpus = ["0"]
    first = engine.submit(tiny[0])
    before = set(active_children())
    engine.prepare(tiny[1], 1)
    [waiting] = set(active_children()) - before
    waiting.kill()
    waiting.join()
    engine.cancel(first)
    running = engine.submit(tiny[1])
    while not engine.poll([running]):
        pass
    assert numbers(engine.result(running).record)


def test_a_number_of_gpus_that_was_asked_for_is_what_units_take(tiny: list[EstimateSpec]) -> None:
    engine = local.LocalEngine("cpu", gpus=2)
    assert engine.gpus_needed(tiny[0]) == 1  # there are none
    engine.gpus = ["0", "1", "2", "3"]
    assert engine.gpus_needed(tiny[0]) == 2


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
    for outcome in engines.run(asked, local.LocalEngine("cpu", free=True)):
        assert outcome.record is not None, outcome.failure
        seen.append((outcome.spec.revision, sum(line in hub.requests for line in weights.values())))
    assert seen == [("step0", 2), ("step1", 3), ("step2", 3)]
    assert [hub.requests.count(line) for line in weights.values()] == [1, 1, 1]
    assert not list((tmp_path / "hf").rglob("*.safetensors"))
    assert not [path for path in (tmp_path / "hf" / "hub").rglob("blobs/*") if path.stat().st_size > 1000]


@pytest.mark.real
def test_submitit_gives_the_same_numbers(tiny: list[EstimateSpec]) -> None:
    found = {
        outcome.spec.model: numbers(outcome.record) for outcome in engines.run(tiny[:2], clusters.SlurmEngine("cpu"))
    }
    assert found == {spec.model: numbers(engines.run_task(spec, "cpu").record) for spec in tiny[:2]}


@pytest.mark.real
def test_a_ray_cluster_that_loses_a_node_half_way_completes_with_the_same_numbers(tiny: list[EstimateSpec]) -> None:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    other = cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False, runtime_env=clusters.runtime_environment())
    try:
        found: dict[str, Any] = {}
        began = time.monotonic()
        for outcome in engines.run(tiny, clusters.RayEngine("cpu")):
            assert outcome.spec.model not in found
            found[outcome.spec.model] = numbers(outcome.record)
            if other is not None:
                cluster.remove_node(other, allow_graceful=False)
                other = None
            assert time.monotonic() - began < 240
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert found == {spec.model: numbers(engines.run_task(spec, "cpu").record) for spec in tiny}
