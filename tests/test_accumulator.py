"""Hidden states that come in parts: the same result as at once, within the stated memory, resumed and merged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from softh import Accumulator, Information, InputError, information
from softh.estimator.information import Value

POSITIONS, DOCUMENTS = 3000, 60


class Data:
    """Hidden states of two layers with known labels, in documents."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.document = np.sort(rng.integers(0, DOCUMENTS, POSITIONS))
        self.position = np.arange(POSITIONS)
        self.labels = {"token": rng.integers(0, 40, POSITIONS), "next": rng.integers(0, 6, POSITIONS)}
        means = rng.standard_normal((40, 24))
        first = means[self.labels["token"]] + rng.standard_normal((POSITIONS, 24))
        self.hidden = {"1": first.astype(np.float32), "2": (first[:, :16] * 0.5 + 0.2).astype(np.float32)}

    def update(self, accumulator: Accumulator, rows: np.ndarray, convert: Any = lambda array: array) -> None:
        hidden = {name: convert(each[rows]) for name, each in self.hidden.items()}
        labels = {name: each[rows] for name, each in self.labels.items()}
        accumulator.update(hidden, labels, document=self.document[rows], position=self.position[rows])


@pytest.fixture(scope="module")
def data() -> Data:
    return Data()


def empty(**changes: Any) -> Accumulator:
    settings = {"positions": POSITIONS, "draws": 3, "bins": 20, "sample": "some text"} | changes
    return Accumulator(["1", "2"], ["token", "next"], **settings)


def shuffled(parts: int, seed: int = 1) -> Iterator[np.ndarray]:
    yield from np.array_split(np.random.default_rng(seed).permutation(POSITIONS), parts)


def numbers(found: Information) -> list[float | None]:
    values = [value for name in vars(found) if isinstance(value := getattr(found, name), Value)]
    return [number for each in values for number in (each.value, each.se_draws, each.se_documents, *each.folds)]


def assert_equal(one: Accumulator, other: Accumulator) -> None:
    for key in (("1", "token"), ("2", "next")):
        assert numbers(one.result(*key)) == numbers(other.result(*key))


@pytest.fixture(scope="module")
def whole(data: Data) -> Accumulator:
    accumulator = empty()
    data.update(accumulator, np.arange(POSITIONS))
    return accumulator


def test_one_update_gives_what_information_gives(data: Data, whole: Accumulator) -> None:
    for (layer, labels), found in whole.results().items():
        expected = information(data.hidden[layer], data.labels[labels], bins=20, draws=3, groups=data.document)
        assert numbers(found) == pytest.approx(numbers(expected), abs=3e-5, nan_ok=True)
        assert (found.positions, found.labels, found.documents) == (
            expected.positions, expected.labels, expected.documents,
        )  # fmt: skip


def test_shuffled_updates_equal_one(data: Data, whole: Accumulator) -> None:
    accumulator = empty()
    for rows in shuffled(17):
        data.update(accumulator, rows)
    assert (accumulator.updates, accumulator.seen) == (17, POSITIONS)
    assert_equal(accumulator, whole)


def test_merged_parts_that_were_killed_and_resumed_equal_one_update(
    data: Data, whole: Accumulator, tmp_path: Path
) -> None:
    parts = list(shuffled(12))
    workers = []
    for worker in range(4):
        first = empty()
        data.update(first, parts[worker])
        first.save(tmp_path / str(worker))
        data.update(first, parts[4 + worker])  # killed: what came after the save is lost
        second = empty()
        assert second.resume(tmp_path / str(worker)) == 1
        for number in (4, 8):
            data.update(second, parts[number + worker])
            second.save(tmp_path / str(worker))
        workers.append(Accumulator.load(tmp_path / str(worker)))
    total = empty()
    for each in workers:
        total.merge(each)
    assert (total.updates, total.seen) == (12, POSITIONS)
    assert_equal(total, whole)


def test_a_save_writes_what_is_new_and_sweeps_what_is_old(data: Data, tmp_path: Path) -> None:
    accumulator = empty()
    sizes = []
    for rows in shuffled(3):
        data.update(accumulator, rows)
        accumulator.save(tmp_path)
        sizes.append(sum(path.stat().st_size for path in tmp_path.glob("rows-*")))
    assert len(list(tmp_path.glob("rows-*"))) == 3
    assert sizes[2] == pytest.approx(3 * sizes[0], rel=0.01)
    (tmp_path / "rows-of-a-killed-save.safetensors").write_bytes(b"")
    accumulator.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def converters() -> list[Any]:
    jax = pytest.importorskip("jax")
    return [torch.from_numpy, jax.numpy.asarray]


def test_libraries_give_the_same(data: Data, whole: Accumulator) -> None:
    for convert in converters():
        accumulator = empty()
        for rows in shuffled(5):
            data.update(accumulator, rows, convert)
        assert numbers(accumulator.result("1", "token")) == numbers(whole.result("1", "token"))


def test_bfloat16_is_read_from_every_library(data: Data) -> None:
    jax = pytest.importorskip("jax")
    import ml_dtypes

    states, labels = torch.from_numpy(data.hidden["1"]).bfloat16(), data.labels["token"]
    of_jax = jax.numpy.asarray(data.hidden["1"]).astype("bfloat16")
    of_numpy = data.hidden["1"].astype(ml_dtypes.bfloat16)
    found = []
    for each in (states, of_jax, of_numpy):
        accumulator = Accumulator(positions=POSITIONS, draws=2)
        accumulator.update(each, labels)
        found.append(numbers(accumulator.result()))
    assert found[0] == found[1] == found[2]


def test_without_documents_and_places_the_order_of_updates_changes_nothing(data: Data) -> None:
    found = []
    for parts in (1, 6):
        accumulator = Accumulator(positions=POSITIONS, draws=2)
        for rows in shuffled(parts, seed=parts):
            accumulator.update(data.hidden["1"][rows], data.labels["token"][rows])
        found.append(numbers(accumulator.result()))
    assert found[0] == found[1]


def test_names_are_labels_and_documents_too(data: Data, whole: Accumulator) -> None:
    accumulator = Accumulator(positions=POSITIONS, draws=3, bins=20)
    words = np.array([f"word {label}" for label in data.labels["token"]])
    documents = [f"document {number}" for number in data.document]
    for rows in shuffled(4):
        accumulator.update(data.hidden["1"][rows], words[rows], document=[documents[row] for row in rows])
    found, expected = accumulator.result(), whole.result("1", "token")
    assert found.raw.value == pytest.approx(expected.raw.value, abs=1e-7)
    assert found.debiased.value == pytest.approx(expected.debiased.value, abs=found.debiased.se_documents)
    assert found.documents == expected.documents


def test_a_full_accumulator_keeps_the_same_documents_in_every_order(data: Data) -> None:
    found = []
    for parts in (1, 9, 30):
        accumulator = empty(positions=1000)
        for rows in shuffled(parts, seed=parts):
            data.update(accumulator, rows)
            assert accumulator.kept <= 1000
        found.append((accumulator.kept, numbers(accumulator.result("1", "token"))))
    assert found[0] == found[1] == found[2]
    assert 900 < found[0][0] <= 1000
    merged, other = empty(positions=1000), empty(positions=1000)
    for number, rows in enumerate(shuffled(8)):
        data.update((merged, other)[number % 2], rows)
    merged.merge(other)
    assert (merged.kept, numbers(merged.result("1", "token"))) == found[0]


def test_a_sample_of_documents_agrees_with_all(data: Data, whole: Accumulator) -> None:
    accumulator = empty(positions=1500)
    data.update(accumulator, np.arange(POSITIONS))
    few, all_ = accumulator.result("1", "token").debiased, whole.result("1", "token").debiased
    assert few.value == pytest.approx(all_.value, abs=3 * few.se_documents)
    assert "a sample of the 3,000 seen" in accumulator.summary()


def test_a_full_accumulator_resumes(data: Data, tmp_path: Path) -> None:
    whole, first = empty(positions=1000), empty(positions=1000)
    parts = list(shuffled(6))
    for number, rows in enumerate(parts):
        data.update(whole, rows)
        if number < 3:
            data.update(first, rows)
            first.save(tmp_path)
    second = empty(positions=1000)
    for rows in parts[second.resume(tmp_path) :]:
        data.update(second, rows)
    assert numbers(second.result("2", "next")) == numbers(whole.result("2", "next"))


def test_memory_is_what_arrays_take() -> None:
    accumulator = empty(positions=500)
    rows = accumulator._kept.rows
    bytes_ = sum(p.nbytes for p in rows.p) + rows.labels.nbytes + rows.document.nbytes + rows.place.nbytes
    assert accumulator.memory().kept == bytes_ + accumulator._kept.used.nbytes + accumulator._kept.saved.nbytes


def good(rows: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "hidden": {"1": rng.standard_normal((rows, 8)), "2": rng.standard_normal((rows, 6))},
        "labels": {"token": np.arange(rows), "next": np.arange(rows) % 2},
        "document": np.arange(rows),
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"hidden": np.ones((4, 8))}, "expected one for each of 1, 2"),
        ({"hidden": {"1": np.ones((4, 8))}}, "hidden has 1; expected 1, 2"),
        ({"hidden": {"1": np.ones((4, 8)), "2": np.ones((3, 6))}}, "Layers have 3 and 4 positions"),
        ({"hidden": {"1": np.ones((4, 9)), "2": np.ones((4, 6))}}, "is 9 wide and was 8"),
        ({"hidden": {"1": np.ones((4, 8)), "2": np.zeros((4, 6))}}, "hidden of 2 has a row that is zero"),
        ({"hidden": {"1": np.ones((4, 8)), "2": np.full((4, 6), np.nan)}}, "not finite, row 0"),
        ({"hidden": {"1": np.ones((4, 8)), "2": np.ones((4, 6), dtype=int)}}, "was int64 of shape"),
        ({"labels": {"token": np.arange(5), "next": np.arange(4)}}, "token has shape .5,. and hidden 4 rows"),
        ({"labels": {"token": list("abcd"), "next": np.arange(4)}}, "token of this update: strings"),
        ({"labels": {"token": np.arange(4.0), "next": np.arange(4)}}, "expected integers or strings"),
        ({"document": None}, "document of this update: none; of those before: integers"),
        ({"position": np.arange(4)}, "position of this update: integers; of those before: none"),
    ],
)
def test_what_does_not_fit_is_a_sentence_and_adds_nothing(change: dict[str, Any], sentence: str) -> None:
    accumulator = empty()
    accumulator.update(**good())
    with pytest.raises(InputError, match=sentence):
        accumulator.update(**good() | change)
    assert (accumulator.updates, accumulator.kept) == (1, 4)


def test_a_position_that_comes_twice_is_named(data: Data) -> None:
    accumulator = empty(positions=2 * POSITIONS)
    data.update(accumulator, np.arange(POSITIONS))
    data.update(accumulator, np.arange(7, 8))
    with pytest.raises(InputError, match="Position 7 was passed more than once"):
        accumulator.result("1", "token")


def test_something_else_is_not_resumed_and_not_merged(data: Data, tmp_path: Path) -> None:
    accumulator = empty()
    data.update(accumulator, np.arange(100))
    accumulator.save(tmp_path / "state")
    for change in ({"sample": "another text"}, {"draws": 4}, {"seed": 1}, {"positions": 10}):
        with pytest.raises(InputError, match="other settings or another sample"):
            empty(**change).resume(tmp_path / "state")
        with pytest.raises(InputError, match="other settings or another sample"):
            empty(**change).merge(accumulator)
    with pytest.raises(InputError, match="expected a new one to resume with"):
        accumulator.resume(tmp_path / "state")
    with pytest.raises(InputError, match="state of another accumulator"):
        empty().save(tmp_path / "state")
    with pytest.raises(InputError, match="holds no accumulator"):
        empty().resume(tmp_path)


def test_a_full_disk_is_a_sentence_and_leaves_the_former_state(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accumulator = empty()
    data.update(accumulator, np.arange(100))
    accumulator.save(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    data.update(accumulator, np.arange(100, 120))

    def full(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr("softh.accumulator.save_file", full)
        with pytest.raises(InputError, match=r"could not be saved in .*No space left.*: free some space"):
            accumulator.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert Accumulator.load(tmp_path).kept == 100
    accumulator.save(tmp_path)
    assert Accumulator.load(tmp_path).kept == 120


def test_damage_and_other_versions_are_sentences(data: Data, tmp_path: Path) -> None:
    accumulator = empty()
    data.update(accumulator, np.arange(100))
    accumulator.save(tmp_path)
    path, state = next(tmp_path.glob("rows-*")), tmp_path / "accumulator.json"
    content, text = path.read_bytes(), state.read_text()
    for changed in (content[:-3], content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(changed)
        with pytest.raises(InputError, match="is damaged"):
            Accumulator.load(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="is damaged"):
        Accumulator.load(tmp_path)
    for changed, sentence in (
        (text[:40], "cannot be read"),
        (json.dumps(json.loads(text) | {"format": 2}), "written in format 2 and this version of softh reads 1"),
        (json.dumps({"format": 1}), "is not complete"),
        (json.dumps(json.loads(text) | {"files": [{"nam": "x"}]}), "is not complete"),
        (json.dumps(json.loads(text) | {"limit": 1 << 64}), "is not complete"),
        (json.dumps(json.loads(text) | {"settings": {}}), "is not complete"),
        ('{"format": 1e999}', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ):
        state.write_text(changed)
        with pytest.raises(InputError, match=sentence):
            Accumulator.load(tmp_path)


def test_too_little_says_so(data: Data) -> None:
    with pytest.raises(InputError, match="0 positions are kept"):
        empty().result("1", "token")
    with pytest.raises(InputError, match="layer was None; expected one of 1, 2"):
        empty().result()
    with pytest.raises(InputError, match="positions was 1"):
        empty(positions=1)
    with pytest.raises(InputError, match="There is room for 20 positions and a document has"):
        data.update(empty(positions=20), np.arange(POSITIONS))
