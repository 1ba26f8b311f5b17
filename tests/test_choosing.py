"""Which of two is better: measures that know, that do not, and that add to loss; the command on tables and stores."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from dashboard.views.benchmarks import beside_published
from softh.analysis import correlation, selection
from softh.analysis.selection import MeasureValues, choices
from softh.cli.main import app
from softh.errors import InputError
from softh.store import write

GROUPS = np.repeat(np.arange(6), 10)
NAMES = [f"run {g}" for g in GROUPS]


def made(seed: int = 0, *, hidden: float = 0.0) -> tuple[np.ndarray, dict[str, MeasureValues]]:
    """A score that loss knows with noise; `other` knows that noise in part, `nothing` none, `deep` at a depth."""
    rng = np.random.default_rng(seed)
    loss, noise, nothing = rng.standard_normal((3, 60))
    score = -loss + 0.7 * noise
    deep = rng.standard_normal((60, 6))
    deep[:, 4] = -score + 0.1 * rng.standard_normal(60)
    measures = {
        "loss": MeasureValues(loss, -1), "other": MeasureValues(hidden * noise + rng.standard_normal(60)),
        "nothing": MeasureValues(nothing), "score": MeasureValues(score), "deep": MeasureValues(deep),
    }  # fmt: skip
    return score, measures


@pytest.mark.parametrize("within", [True, False])
def test_a_measure_is_right_as_often_as_counting_says(within: bool) -> None:
    score, measures = made()
    rows = {row.measure: row for row in choices(score, NAMES, measures, "loss", within=within)}
    loss = measures["loss"].values
    pairs = [
        (i, j) for i in range(60) for j in range(60)
        if score[i] > score[j] and (GROUPS[i] == GROUPS[j] or not within)
    ]  # fmt: skip
    assert rows["loss"].pairs == len(pairs) == (270 if within else 1770)
    assert rows["loss"].accuracy.value == pytest.approx(np.mean([loss[i] < loss[j] for i, j in pairs]))
    assert rows["score"].accuracy.value == 1
    assert rows["score"].regret.value == 0
    assert rows["deep"].accuracy.value > 0.9
    assert rows["deep"].against.p < 0.01
    best = [score[g == GROUPS].max() - score[g == GROUPS][loss[g == GROUPS].argmin()] for g in range(6)]
    assert rows["loss"].regret.value == pytest.approx(np.mean(best))


def test_errors_are_those_of_leaving_each_group_out() -> None:
    score, measures = made()
    whole = choices(score, NAMES, measures, "loss", within=True)[1]
    without = []
    for g in range(6):
        kept = g != GROUPS
        some = {name: MeasureValues(one.values[kept], one.better) for name, one in measures.items()}
        names = [name for name, one in zip(NAMES, kept, strict=True) if one]
        without.append(choices(score[kept], names, some, "loss", within=True)[1])
    for part in ("accuracy", "beyond"):
        values = np.array([getattr(one, part).value for one in without])
        error = np.sqrt(5 / 6 * ((values - values.mean()) ** 2).sum())
        known = getattr(whole, part)
        assert known.high - known.value == pytest.approx(2.5706 * error, rel=1e-3)


def test_what_adds_to_loss_is_found_and_what_does_not_is_not_claimed() -> None:
    claimed, found = [], []
    for seed in range(40):
        score, measures = made(seed, hidden=3)
        rows = {row.measure: row for row in choices(score, NAMES, measures, "loss", within=False)}
        assert rows["other"].beyond.value > 0.03
        found.append(rows["other"].beyond.low > 0)
        claimed.append(rows["nothing"].beyond.low > 0)
    assert np.mean(found) > 0.75
    assert np.mean(claimed) < 0.13


def test_which_way_a_useless_measure_points_is_not_learned_from_what_it_judges() -> None:
    right = [
        next(row for row in choices(*made_up, "loss", within=True) if row.measure == "nothing").accuracy.value
        for made_up in ((score, NAMES, measures) for score, measures in (made(seed) for seed in range(60)))
    ]
    assert np.mean(right) == pytest.approx(0.5, abs=0.03)


def test_too_little_is_a_sentence() -> None:
    score, measures = made()
    with pytest.raises(InputError, match="of 2 families or runs"):
        choices(score, ["a"] * 30 + ["b"] * 30, measures, "loss", within=False)
    with pytest.raises(InputError, match="0 pairs differ"):
        choices(np.zeros(60), NAMES, measures, "loss", within=False)


def test_the_command_judges_ones_own_table(tmp_path: Path) -> None:
    score, measures = made(hidden=3)
    columns = {name: one.values for name, one in measures.items() if one.values.ndim == 1 and name != "score"}
    pl.DataFrame({"group": NAMES, "cloze": score, **columns}).write_csv(tmp_path / "own.csv")
    run = CliRunner().invoke(app, ["select", str(tmp_path / "own.csv"), "--among", "models", "--json"])
    assert run.exit_code == 0, run.output
    rows = {row["measure"]: row for row in json.loads(run.stdout)}
    assert set(rows) == {"loss", "other", "nothing"}
    assert rows["other"]["beyond"]["low"] > 0
    table = CliRunner().invoke(app, ["select", str(tmp_path / "own.csv"), "--among", "models"])
    assert "Significantly better than loss, Bonferroni-corrected for 2 measures: other added to it." in table.output
    with pytest.raises(InputError, match="'gone' is not a column"):
        CliRunner().invoke(app, ["select", str(tmp_path / "own.csv"), "--score", "gone"], catch_exceptions=False)


def test_checkpoints_of_the_store_meet_their_scores(tmp_path: Path, record: Callable) -> None:
    scores = []
    for number in range(4):
        for step in (1, 4, 16, 64):
            model = f"Run-{number}"
            write.save(record(model, f"step{step}", step=step, tokens=1_000 * step), tmp_path)
            about = {"model": model, "metric": "accuracy", "stderr": None, "source": "a test", "task": "cloze"}
            scores.append({**about, "revision": f"step{step}", "score": step + number})
    write.save_scores(scores, tmp_path)
    run = CliRunner().invoke(app, ["select", "--data", str(tmp_path), "--json"])
    assert run.exit_code == 0, run.output
    rows = {row["measure"]: row for row in json.loads(run.stdout)}
    assert rows["training tokens"]["accuracy"]["value"] == 1
    assert rows[selection.LOSS]["pairs"] == 4 * 6
    assert rows[selection.LOSS]["groups"] == 4
    with pytest.raises(InputError, match="is not a score of these models"):
        CliRunner().invoke(app, ["select", "--data", str(tmp_path), "--score", "x"], catch_exceptions=False)


@pytest.mark.parametrize(("lacking", "compared"), [(1, 4), (2, 5)])
def test_few_that_lack_a_measure_are_left_out_and_a_measure_that_many_lack_is(
    lacking: int, compared: int, tmp_path: Path, record: Callable
) -> None:
    scores = []
    for number in range(5):
        for step in (1, 4, 16, 64):
            model, tokens = f"Run-{number}", None if number < lacking else 1_000 * step
            write.save(record(model, f"step{step}", step=step, tokens=tokens), tmp_path)
            about = {"model": model, "metric": "accuracy", "stderr": None, "source": "a test", "task": "cloze"}
            scores.append({**about, "revision": f"step{step}", "score": step + number})
    write.save_scores(scores, tmp_path)
    run = CliRunner().invoke(app, ["select", "--data", str(tmp_path), "--json"])
    rows = {row["measure"]: row for row in json.loads(run.stdout)}
    assert ("training tokens" in rows) == (lacking == 1)
    assert rows[selection.LOSS]["pairs"] == compared * 6


def test_the_published_table_has_ours_beside_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 2))
    y = np.column_stack([x[:, 0] + 0.3 * rng.standard_normal((30, 2)).T[k] for k in range(2)] + [np.full(30, np.nan)])
    y[:5, 2] = 1.0
    predictors = (correlation.PREDICTORS["optimality"], correlation.PREDICTORS["input"])
    gap = np.full_like(x, np.nan)
    study = correlation.Study(
        tuple(f"m{i}" for i in range(30)), tuple(f"f{i % 5}" for i in range(30)), predictors, ("a", "b", "rare"), x, y,
        gap, np.full_like(y, np.nan), {"log parameters": rng.standard_normal(30)},
    )  # fmt: skip
    table = correlation.beside_published({"raw": study}, ("a", "b", "rare"))
    mean = table.filter(score=correlation.MEAN_SCORE)
    assert mean["published"].to_list() == [-0.38, 0.52]
    assert mean["n"].to_list() == [30, 30]  # a score that few have is not in the mean
    best = mean.filter(predictor=predictors[0]).row(0, named=True)
    scaled = (y[:, :2] - y[:, :2].mean(0)) / y[:, :2].std(0)
    assert best["r"] == pytest.approx(np.corrcoef(x[:, 0], scaled.mean(1))[0, 1])
    assert best["low"] > 0.7
    assert best["r_given_size"] == pytest.approx(best["r"], abs=0.1)
    assert table.filter(score="a")["published"].null_count() == 2
    rows = beside_published(table).to_dicts()
    assert [(row["Predictor"], row["Published, mean"]) for row in rows] == [
        (predictors[1], "−0.38"), (predictors[1], None), (predictors[0], "0.52"), (predictors[0], None),
    ]  # fmt: skip
    assert rows[2]["Ours"] == "raw, as published"
    assert rows[3]["Ours"] == "raw, as published, given size"
    assert rows[2][correlation.MEAN_SCORE].startswith(f"{best['r']:.2f} (")
    assert "rare" not in rows[0]
    assert all(row["a"] and row["b"] for row in rows)
