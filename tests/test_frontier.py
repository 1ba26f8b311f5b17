"""The view of finished models: what is drawn, what is filtered, what stands in the table, what a choice does."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dashboard.figures.frontier import family_style, stage_symbol
from dashboard.figures.template import LIGHT
from dashboard.format import plus_minus
from dashboard.view import Empty
from dashboard.views import registry
from softh.analysis import differences, finished_models
from softh.store import read, write
from tests.probe_rows import probe

NAMES = ("zoo-a-3m", "zoo-a-20m", "zoo-a-20m-sft", "zoo-a-20m-dpo", "zoo-b-9m")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, record: Callable) -> Path:
    """Five models of two families and a run, packed, with scores; one estimate of one's own."""
    folder = tmp_path_factory.mktemp("stored")
    for place, name in enumerate(NAMES):
        write.save(made(record, name, place), folder)
    for step in (1, 100):
        write.save(record("Run", f"step{step}", step=step, shape=shape(0.01 * step / 100)), folder)
    score = {"revision": None, "task": "cloze", "metric": "accuracy", "stderr": 0.01, "source": "here"}
    write.pack(folder, [{"model": f"{name} (trained here)", "score": 0.1 * i, **score} for i, name in enumerate(NAMES)])
    write.save(made(record, "my-own", 5), folder)
    return folder


@pytest.fixture
def tables(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is stored, for the test alone."""
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return shutil.copytree(stored, tmp_path, dirs_exist_ok=True)


def made(record: Callable, name: str, place: int) -> dict:
    row = record(f"{name} (trained here)" if name.startswith("zoo") else name, shape=shape(place / 100))
    stage = next((stage for stage in ("sft", "dpo") if name.endswith(stage)), "base")
    family = "-".join(name.split("-")[:2])
    row["model"] |= {"stage": stage, "family": family, "parameters": 1_000_000 * (place + 1)}
    return row


def shape(more: float) -> Callable:
    return lambda depth, order: (0.9, 0.2 + more, 0.12 + more * (1 if more < 0.03 else -1), 0.02 * order)


def built(**link: list[str]) -> registry.View:
    view, notes = registry.build("frontier", link)
    assert notes == []
    return view


def points(view: registry.View) -> dict[str, tuple[float, float]]:
    """Model → place, of the traces that can be picked."""
    models = dict(view.data.select("estimate_id", "model").iter_rows())
    return {
        models[card[0]]: (x, y)
        for trace in view.figures["plane"].data
        if trace.customdata is not None
        for card, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


def test_every_model_is_one_point_at_its_last_checkpoint(tables: Path) -> None:
    view = built()
    assert set(points(view)) == {*(f"{name} (trained here)" for name in NAMES), "Run", "my-own"}
    assert set(view.rows["Model"]) == set(points(view)) == set(view.data["model"])
    assert view.data.filter(model="Run")["revision"].to_list() == ["step100"]


def test_an_arrow_leads_from_base_to_sft_to_dpo(tables: Path) -> None:
    view = built()
    [arrows] = [trace for trace in view.figures["plane"].data if trace.name == "post-training"]
    at = points(view)
    chain = [f"zoo-a-20m{stage} (trained here)" for stage in ("", "-sft", "-dpo")]
    drawn = {((arrows.x[i], arrows.y[i]), (arrows.x[i + 1], arrows.y[i + 1])) for i in range(0, len(arrows.x), 3)}
    assert drawn == {(at[chain[0]], at[chain[1]]), (at[chain[1]], at[chain[2]])}


def test_the_frontier_holds_the_best_and_the_table_begins_with_it(tables: Path) -> None:
    view = built()
    front = set(view.data.filter("on_frontier")["model"])
    assert front == set(view.rows.filter(Frontier="●")["Model"])
    leads = [float(told.split(" ")[0]) for told in view.rows["Optimality"] if told != "undefined"]
    assert leads == sorted(leads, reverse=True)
    assert view.rows.columns[:3] == ["Model", "Optimality", "To the bound"]
    assert "my-own" not in front


def test_the_null_has_no_frontier(tables: Path) -> None:
    view, shown = built(correction=["null"]), built()
    assert "Pareto frontier" in {trace.name for trace in shown.figures["plane"].data}
    assert "Pareto frontier" not in {trace.name for trace in view.figures["plane"].data}
    assert "Pareto" not in view.figures["plane"].layout.meta["alt"]
    assert set(view.rows["Frontier"]) == {""}
    assert not view.data["on_frontier"].any()
    assert "what shuffled labels give, so no frontier is drawn" in view.caption
    assert "shuffled" not in shown.caption


def test_what_knows_no_labels_has_its_frontier_under_any_correction(tables: Path) -> None:
    axes = {"x": ["parameters"], "y": ["bits per byte"]}
    assert "Dotted: the Pareto frontier" in built(correction=["null"], **axes).caption


def test_ones_own_is_marked_in_figure_table_and_data(tables: Path) -> None:
    view = built()
    assert view.rows.filter(Yours="●")["Model"].to_list() == ["my-own"]
    assert view.data.filter("own")["model"].to_list() == ["my-own"]
    last = [trace for trace in view.figures["plane"].data if trace.customdata is not None][-1]
    assert [card[0] for card in last.customdata] == view.data.filter("own")["estimate_id"].to_list()
    assert last.marker.line.width[0] > 2
    assert "yours" in {trace.name for trace in view.figures["plane"].data}


@pytest.mark.parametrize(
    ("link", "left"),
    [
        ({"find": ["A-20M sft"]}, {"zoo-a-20m-sft (trained here)"}),
        ({"family": ["zoo-b"]}, {"zoo-b-9m (trained here)"}),
        ({"stage": ["dpo", "sft"]}, {"zoo-a-20m-sft (trained here)", "zoo-a-20m-dpo (trained here)"}),
        ({"least": ["6"]}, {"my-own"}),
        ({"most": ["1"]}, {"zoo-a-3m (trained here)"}),
        ({"own": ["true"]}, {"my-own"}),
    ],
)
def test_search_and_filters_leave_what_fits(tables: Path, link: dict, left: set[str]) -> None:
    view = built(**link)
    assert set(points(view)) == set(view.rows["Model"]) == left


def test_a_search_without_an_answer_says_what_to_do(tables: Path) -> None:
    with pytest.raises(Empty, match="clear the search"):
        built(find=["nothing like it"])


def test_what_is_picked_is_ringed(tables: Path) -> None:
    view = built(points=["my-own", "Run"])
    [ring] = [trace for trace in view.figures["plane"].data if trace.name == "selected"]
    assert set(zip(ring.x, ring.y, strict=True)) == {points(view)[name] for name in ("my-own", "Run")}
    assert {"my-own", "Run"} <= {note.text.strip("</b>") for note in view.figures["plane"].layout.annotations}


@pytest.mark.parametrize(
    ("x", "y", "title"),
    [
        ("optimality", "distance to the bound", "distance to the bound"),
        ("parameters", "bits per byte", "bits per byte"),
        ("entropy", "score: cloze, accuracy", "cloze, accuracy"),
    ],
)
def test_any_quantity_and_score_can_be_an_axis(tables: Path, x: str, y: str, title: str) -> None:
    view = built(x=[x], y=[y])
    layout = view.figures["plane"].layout
    assert title in layout.yaxis.title.text
    assert layout.xaxis.type == ("log" if x == "parameters" else "linear")
    assert view.data["y"].null_count() == 0
    assert len(points(view)) == (5 if "score" in y else 7)
    assert "bound" not in " ".join(note.text for note in layout.annotations)


def test_an_unknown_axis_falls_back_with_a_note(tables: Path) -> None:
    view, [note] = registry.build("frontier", {"y": ["magic"]})
    assert "The link asks for y magic" in note
    assert "expressivity" in view.title


def test_other_tokenizers_are_said_in_one_sentence(tables: Path, record: Callable) -> None:
    assert "tokenizers" not in built().caption
    other = record("Other")
    other["model"]["vocabulary"] = 50_000
    write.save(other, tables)
    assert "the 2 vocabularies of these models differ" in built().caption


def test_families_beyond_the_colours_differ_by_their_markers() -> None:
    names = [f"family-{i:02}" for i in range(28)]
    assert len({family_style(name, names, LIGHT) for name in names}) == 28


def test_known_stages_have_markers_of_their_own() -> None:
    assert len({stage_symbol(stage) for stage in ("base", "sft", "instruct", "dpo", None)}) == 5


@pytest.mark.parametrize("number", [1, 50])
def test_any_number_of_models_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable, number: int
) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    for place in range(number):
        write.save(record(f"m-{place}", layers=1, shape=shape(place / 1000)), tmp_path)
    assert len(points(built())) == number


def test_preference_information_is_an_axis_where_models_were_probed(tables: Path) -> None:
    for name in (f"{NAMES[0]} (trained here)", "my-own"):
        made_up = probe(f"99{len(name):02}", model=name)
        write.save(made_up, tables)
    view = built(y=["preference information"])
    assert set(points(view)) == {f"{NAMES[0]} (trained here)", "my-own"}
    assert view.data["y_error"].null_count() == 0


def test_a_model_that_was_spoiled_on_purpose_is_drawn_when_it_is_asked_for(tables: Path, record: Callable) -> None:
    row = made(record, "zoo-a-9m", 1)
    row["model"] |= {"ablation": "shuffled"}
    write.save(row, tables)
    shown, hidden = (set(points(built(ablations=[choice]))) for choice in ("true", "false"))
    assert shown - hidden == {"zoo-a-9m (trained here)"}


def test_a_link_with_former_names_leads_to_the_same_models(tables: Path, record: Callable) -> None:
    row = made(record, "toy-60M (A architecture, trained here)", 1)
    row["model"] |= {"family": "toy A", "former": "zoo-c-60m (trained here)"}
    write.save(row, tables)
    view = built(family=["zoo-c"], points=["zoo-c-60m (trained here)"])
    assert set(points(view)) == {"toy-60M (A architecture, trained here)"}


def test_an_arrow_leads_from_the_parent_that_the_tables_name(tables: Path, record: Callable) -> None:
    row = made(record, "toy-4-bits", 1)
    row["model"] |= {"parent": "zoo-b-9m (trained here)"}
    write.save(row, tables)
    view = built()
    made_from = dict(view.data.select("model", "made_from").iter_rows())
    assert made_from["toy-4-bits"] == "zoo-b-9m (trained here)"


def test_membership_is_a_share_of_samples_and_shared_noise_changes_no_order() -> None:
    def row(x: float, y: float, draws: list[float], **other: object) -> dict:
        shared = {"width": 8, "seed": 0, "frame": "iid", "bins": 100, "corpus_digest": "c", "documents": 8, "folds": 8}
        near = {"x": x, "y": y, "x_draws": [x + d for d in draws], "y_draws": [y - d for d in draws]}
        return {**shared, **near, "x_se_draws": 0.1, "y_se_draws": 0.1, **other}

    draws = [-1.0, 1.0, -1.0, 1.0]
    alike = [row(0.2, 0.1, draws), row(0.2001, 0.0999, draws), row(0.5, 0.01, draws)]
    samples = [finished_models.sampled(alike, name) for name in "xy"]
    assert samples[0][:, 0] - samples[0][:, 1] == pytest.approx(-0.0001)
    assert finished_models.membership(*samples, -1, 1).tolist() == [1, 0, 0]
    apart = [alike[0], row(0.2001, 0.0999, draws, seed=1), alike[2]]
    samples = [finished_models.sampled(apart, name) for name in "xy"]
    assert 0.3 < finished_models.membership(*samples, -1, 1)[1] < 0.7
    near = finished_models.least(finished_models.sampled(alike, "x"))
    assert near.tolist() == [1, 0, 0]


def test_the_frontier_is_told_with_its_chances(tables: Path) -> None:
    view = built()
    assert view.notes[0].startswith("**On the frontier** in 95% of samples")
    rows = view.data.sort("distance")
    first, second = rows["model"][:2]
    assert view.notes[1].startswith(f"**Least distance to the bound**, I(X;Z) − I(Y;Z): {first}, in ")
    known = finished_models.with_distance(read.trajectory(tables, order=1, correction="debiased"))
    known = known.with_columns(distance_folds=pl.col("input_folds") - pl.col("output_folds"))
    known = known.with_columns(distance_draws=pl.col("input_draws") - pl.col("output_draws"))
    pair = [known.filter(estimate_id=one).row(0, named=True) for one in rows["estimate_id"][:2]]
    apart = differences.difference(pair[1], pair[0], "distance")
    assert f"next {second}, farther by {plus_minus(apart.value, apart.error)}" in view.notes[1]
    chances = dict(view.data.select("model", "chance_of_frontier").iter_rows())
    assert all(0 <= chance <= 1 for chance in chances.values())
    assert set(view.data.filter(pl.col("chance_of_frontier") > 0.5)["model"]) <= set(view.rows["Model"])


def test_models_without_a_head_are_named_and_no_others() -> None:
    view, _ = registry.build("frontier", {"settings": ["256 documents × 256 tokens"]})
    [said] = [note for note in view.notes if "no head for next tokens" in note]
    assert said.startswith("all-MiniLM-L6-v2, all-mpnet-base-v2: no head for next tokens.")
