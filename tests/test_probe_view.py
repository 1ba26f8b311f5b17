"""Parts of the preference page: changes with paired errors, figures that say what they show, words that fit."""

import json
import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import queries
from dashboard.views.preference_summary import Findings, headline, paragraph
from dashboard.views.registry import build
from softh.analysis.differences import Difference
from softh.analysis.probe_changes import Change, Movement, Step, association, changes, finding, movements, stages, steps
from softh.analysis.probe_summary import rank_correlation
from softh.store import write
from tests.probe_rows import probe
from tests.store_rows import build_record

APP = str(Path(__file__).parents[1] / "app.py")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def family(data: Path) -> Path:
    """A base model, two stages of post-training, and a stranger of another width."""
    for place, (name, stage, scale) in enumerate(
        [("zoo-x (trained here)", "base", 1.0), ("zoo-x-sft (trained here)", "sft", 1.2),
         ("zoo-x-dpo (trained here)", "dpo", 1.5), ("Other-Instruct", "instruct", 0.5)]
    ):  # fmt: skip
        write.save(probe(f"aa0{place}", model=name, stage=stage, scale=scale), data)
    return data


def rows(values: np.ndarray, folds: np.ndarray) -> pl.DataFrame:
    """Corrected information of one layer (values by draw, and without each fold) and of the mean."""
    found = [
        {"layer": layer, "correction": "corrected", "quantity": quantity, "value": float(values.mean()), "draws": draws}
        for layer in (None, 0)
        for quantity, draws in (("information", values.tolist()), ("folds", folds.tolist()))
    ]
    return pl.DataFrame(found)


def test_the_error_of_a_change_is_paired_over_draws_and_folds() -> None:
    random = np.random.default_rng(0)
    shared, own = random.normal(1, 0.5, 32), random.normal(0.3, 0.01, 32)
    folds, moved = random.normal(1, 0.2, 8), random.normal(0.3, 0.01, 8)
    mean, layer = changes(rows(shared, folds), rows(shared + own, folds + moved))
    assert (mean.layer, layer.layer) == (None, 0)
    assert mean.value == pytest.approx(own.mean())
    of_folds = math.sqrt(7 / 8 * ((moved - moved.mean()) ** 2).sum())
    assert mean.error == pytest.approx(math.hypot(own.std(ddof=1) / math.sqrt(32), of_folds))
    assert mean.error < 0.1 * shared.std()


@pytest.mark.parametrize(("folds", "quantile"), [(3, 4.303), (8, 2.365), (31, 2.042)])
def test_the_interval_of_a_change_is_of_student_with_a_degree_less_than_folds(folds: int, quantile: float) -> None:
    random = np.random.default_rng(0)
    before, after = (rows(np.ones(32), random.normal(1, 0.2, folds)) for _ in range(2))
    for change in changes(before, after):
        assert change.high - change.value == pytest.approx(quantile * change.error, rel=2e-4)
        assert change.value - change.low == pytest.approx(quantile * change.error, rel=2e-4)


def test_where_the_draws_make_the_error_the_interval_is_of_their_degrees() -> None:
    random = np.random.default_rng(0)
    before, after = (rows(random.normal(1, 0.5, 32), random.normal(1, 1e-4, 3)) for _ in range(2))
    for change in changes(before, after):
        assert change.high - change.value == pytest.approx(2.04 * change.error, rel=2e-3)


def test_changes_are_offered_within_a_family_alone_and_on_the_same_positions(family: Path) -> None:
    found = stages(queries.probes())
    assert list(found) == [
        "zoo-x (trained here): base → dpo", "zoo-x (trained here): base → sft", "zoo-x (trained here): sft → dpo",
    ]  # fmt: skip
    assert found["zoo-x (trained here): base → dpo"] == ("aa00", "aa02")
    apart = queries.probes().with_columns(
        positions=pl.when(pl.col("stage") == "dpo").then(1).otherwise(pl.col("positions"))
    )
    assert list(stages(apart)) == ["zoo-x (trained here): base → sft"]


def test_each_stage_follows_the_one_before_it_and_the_last_the_first(family: Path) -> None:
    found = steps(queries.probes())
    assert [(step.name, step.probes, step.whole) for step in found] == [
        ("base → sft", ("aa00", "aa01"), False), ("sft → dpo", ("aa01", "aa02"), False),
        ("base → dpo", ("aa00", "aa02"), True),
    ]  # fmt: skip
    two = queries.probes().filter(pl.col("stage") != "sft")
    assert [(step.name, step.whole) for step in steps(two)] == [("base → dpo", False)]
    apart = two.with_columns(positions=pl.when(pl.col("stage") == "dpo").then(1).otherwise(pl.col("positions")))
    assert not steps(apart)


def plane(data: Path, *less: str) -> Path:
    """The models of the family on the plane, each stage with less I(X;Z)."""
    for place, name in enumerate(("zoo-x", "zoo-x-sft", "zoo-x-dpo")):
        if name not in less:
            lower = 0.01 * place
            made = build_record(
                f"{name} (trained here)", layers=2, orders=(1,),
                shape=lambda depth, order, lower=lower: (0.9, 0.3 - lower + 0.01 * depth, 0.1, 0.02),
            )  # fmt: skip
            write.save(made, data)
    return data


def test_changes_of_preferences_are_drawn_against_those_of_complexity(family: Path) -> None:
    plane(family)
    view, _ = build("preference", {"unit": ["log n"]})
    rows = view.behind["moves"]
    assert rows["complexity"].to_list() == pytest.approx([-0.01, -0.01, -0.02])
    assert (rows["complexity_low"] <= rows["complexity"]).all()
    assert (rows["preference_low"] < rows["preference"]).all()
    expected = {row.name: change for row in steps(queries.probes()) for change in [_preference_change(row)]}
    assert rows["preference"].to_list() == pytest.approx([1e3 * change.value for change in expected.values()])
    assert rows["preference_high"].to_list() == pytest.approx([1e3 * change.high for change in expected.values()])
    assert rows["whole"].to_list() == [False, False, True]
    figure = view.figures["moves"]
    assert list(figure.data[0].x) == rows["complexity"].to_list()
    assert list(figure.data[0].marker.symbol) == ["square", "diamond", "diamond-open"]
    assert figure.layout.meta["alt"].count("I(X;Z) −0.0") == 3
    assert "I(X;Z) falls in 2" in view.notes[0]
    assert "3 points, 1 of them sums of others, cannot settle" in view.notes[0]
    last, _ = build("preference", {"positions": ["mean state"], "part": ["matched by length"]})
    assert "moves" in last.figures


def _preference_change(step: Step) -> Change:
    rows = queries.preferences(step.probes).filter(what="preference", subset="all")
    return changes(*(rows.filter(estimate_id=one) for one in step.probes))[0]


def test_a_step_is_left_out_where_a_model_is_not_on_the_plane(family: Path) -> None:
    assert "moves" not in build("preference", {})[0].figures
    plane(family, "zoo-x-sft")
    rows = build("preference", {})[0].behind["moves"]
    assert rows["after"].to_list() == ["zoo-x-dpo (trained here)"]
    assert not movements(steps(queries.probes()), queries.preferences(()), pl.DataFrame())


def moved(chain: str, complexity: float, preference: float) -> Movement:
    step = Step(chain, ("base", "sft"), (chain, f"{chain}-sft"), ("a", "b"), whole=False)
    return Movement(
        step, Difference(complexity, ((0.001, 15),), ((0.001, 7),)), Change(None, preference, 0.1, -1.0, 1.0)
    )


def test_an_association_is_told_from_three_chains_on() -> None:
    random = np.random.default_rng(0)
    few = [moved(chain, *random.normal(0, 0.1, 2)) for chain in "ab" for _ in range(6)]
    assert association(few) is None
    assert "cannot settle" in finding(few)
    values = [(chain, x) for chain in "abcdef" for x in random.normal(0, 0.1, 4)]
    known = association([moved(chain, x, 2 * x + random.normal(0, 0.01)) for chain, x in values])
    assert known is not None
    assert known.families == 6
    assert known.low > 0.8
    assert "the two are positively associated" in finding([moved(chain, x, 2 * x) for chain, x in values])
    assert "the two are negatively associated" in finding([moved(chain, x, -x) for chain, x in values])
    assert finding([]) == ""


FOUND = Findings("M", 200, 3.0, 0.2, 150.0, 5, (2.5, 0.3), {"linear": (0.9, 0.01), "words": (0.8, 0.01),
                 "length": (0.55, 0.02)}, 0.8)  # fmt: skip


def test_the_headline_names_the_model_that_shows_most_only_where_one_is_clear() -> None:
    assert headline(FOUND, among=1).startswith("M shows 2.00 ± 0.13 % of the one bit")
    assert headline(FOUND, among=3).startswith("Of 3 models M shows the most, 2.00 ± 0.13 % of")
    unclear = replace(FOUND, value=0.3)
    assert not unclear.clear
    assert headline(unclear, among=3).startswith(
        "None of 3 models shows more about which answer was preferred than chance"
    )
    assert headline(unclear, among=1).startswith(
        "M shows no more about which answer was preferred than chance gives; a"
    )


def test_the_paragraph_says_what_the_numbers_say() -> None:
    said = paragraph(FOUND, None, "u")
    assert "clearly more than chance" in said
    assert "most in layer 5" in said
    assert "10.0 points more than the words" in said
    assert "Length does not explain it" in said
    assert "agree on which layers" in said
    nothing = paragraph(replace(FOUND, value=0.3), None, "u")
    assert "no more than chance" in nothing
    assert "most in layer" not in nothing
    assert "which is no more than chance gives" in paragraph(replace(FOUND, matched=(0.2, 0.3)), None, "u")
    assert "Too few pairs" in paragraph(replace(FOUND, matched=None), None, "u")
    wordy = replace(FOUND, right={**FOUND.right, "words": (0.89, 0.01)})
    assert "word choice alone may explain it" in paragraph(wordy, None, "u")
    assert "less than the words" in paragraph(replace(FOUND, right={**FOUND.right, "words": (0.97, 0.01)}), None, "u")
    assert "disagree" in paragraph(replace(FOUND, agreement=-0.5), None, "u")
    unsure, sure = Change(None, 0.1, 0.2, -0.3, 0.5), Change(None, -0.4, 0.1, -0.6, -0.2)
    assert "no detectable change" in paragraph(FOUND, ("a → b", unsure, 1.0), "u")
    assert "a → b: a loss of 0.40 ± 0.10 u" in paragraph(FOUND, ("a → b", sure, 1.0), "u")


def test_ranks_are_compared_where_there_are_any() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(0.8)
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_probes_at_several_steps_of_a_training_are_a_curve(family: Path) -> None:
    for step, scale in ((0, 0.1), (10, 0.4), (20, 0.9)):
        made = probe(f"cc{step:02}", model="tuned", scale=scale, created_at=datetime(2026, 11, 3, 12, step))
        made["checkpoint"] |= {"step": step, "revision": f"step{step}"}
        made["estimate"]["revision"] = f"step{step}"
        write.save(made, family)
    view, _ = build("preference", {"models": ["tuned", "Other-Instruct"]})
    [line] = [trace for trace in view.figures["training"].data if trace.mode == "lines+markers"]
    assert line.name == "tuned"
    assert len(line.x) == 3
    assert list(line.x) == sorted(line.x)
    assert line.y[0] < line.y[1] < line.y[2]
    assert "step 20" in line.customdata[-1]
    assert "training" not in build("preference", {"models": ["Other-Instruct"]})[0].figures


def test_a_link_is_the_whole_view(family: Path) -> None:
    view, notes = build("preference", {})
    assert not notes
    assert list(view.figures) == ["profile", "linear", "parts", "others", "changed"]
    assert all(figure.layout.meta["alt"] for figure in view.figures.values())
    assert "base → dpo: a gain of 1.16" in view.text
    assert view.rows.height == 3
    assert not {pl.List, pl.Struct} & {dtype.base_type() for dtype in view.data.dtypes}
    chosen = {
        "models": ["Other-Instruct"], "positions": ["last token"], "part": ["matched by length"], "unit": ["nats"],
        "change": ["zoo-x (trained here): sft → dpo"],
    }  # fmt: skip
    other, notes = build("preference", chosen, dark=True)
    assert not notes
    assert other.rows["Model"].to_list() == ["Other-Instruct"]
    assert "nats" in other.figures["profile"].layout.yaxis.title.text
    assert "sft → dpo" in other.figures["changed"].layout.meta["alt"]
    assert other.figures["profile"].layout.template.layout.font.color != (
        view.figures["profile"].layout.template.layout.font.color
    )
    _, notes = build("preference", {"positions": ["middle"], "part": ["gone"]})
    assert len(notes) == 2


def test_models_of_different_depth_share_an_axis(family: Path) -> None:
    view, _ = build("preference", {})
    assert view.figures["profile"].layout.xaxis.title.text == "layer, 0 the embedding"
    deep = probe("aa09", model="Deep")
    deep["model"]["layers"] = 4
    write.save(deep, family)
    view, _ = build("preference", {})
    assert view.figures["profile"].layout.xaxis.title.text.startswith("depth")


def test_a_part_of_the_pairs_is_offered_only_where_every_probe_has_it(family: Path) -> None:
    last = probe("aa09", model="Newest", created_at=datetime(2026, 11, 3, 12))
    last["measures"] = [row for row in last["measures"] if not row["variable"].endswith("source b")]
    write.save(last, family)
    asked = {"models": ["Newest", "Other-Instruct"], "part": ["b"]}
    _, notes = build("preference", asked)
    assert len(notes) == 1  # and the whole page is drawn, with all pairs
    _, notes = build("preference", asked | {"models": ["Other-Instruct"]})
    assert not notes


def opened(**link: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/preference.py")
    for key, value in link.items():
        app.query_params[key] = value
    return app.run()


def test_the_page_shows_figures_a_paragraph_and_a_table(family: Path) -> None:
    app = opened()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 5
    assert any("clearly more than chance" in text.value for text in app.markdown)
    assert "±" in app.dataframe[0].value.to_string()
    assert "an answer cut by the context" in " ".join(text.value for text in app.markdown)
    title = json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]["yaxis"]["title"]["text"]
    assert "% of one bit" in title


def test_information_is_drawn_along_training_where_checkpoints_were_probed(data: Path) -> None:
    for place, step in enumerate((1, 10, 100)):
        made = probe(f"bb0{place}", model="Run", scale=1.0 + place)
        made["checkpoint"] |= {"revision": f"step{step}", "step": step, "tokens": 1000 * step, "digest": f"d{step}"}
        made["estimate"] |= {"revision": f"step{step}", "digest": f"d{step}"}
        write.save(made, data)
    view, notes = build("preference", {})
    assert notes == []
    [line] = view.figures["training"].data
    assert line.name == "Run"
    assert len(line.y) == 3
    assert list(line.y) == sorted(line.y)
    assert view.rows.height == 1


def test_without_probes_the_page_says_what_to_do(data: Path) -> None:
    app = opened()
    assert not app.exception
    assert "no probes yet" in " ".join(text.value for text in app.info)
    assert "python -m softh preference" in app.code[0].value


def test_without_a_model_the_page_says_so(family: Path) -> None:
    app = opened().multiselect(key="models").set_value([]).run()
    assert not app.exception
    assert "No model is chosen" in " ".join(text.value for text in app.info)
