"""Specifications: their identity never changes, however many fields are added, and every name there was is accepted."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from softh.errors import InputError
from softh.spec import EstimateSpec, PreferenceSpec, Spec, about, identity, offered, stored_name
from softh.store import read

DATA = Path(__file__).parent.parent / "data"
BEFORE = (
    '{"bins":100,"calibration":"bound","centred":false,"context":256,"corpus":"python-docs","documents":256,"draws":32,'
    '"dtype":"auto","folds":8,"frame":"iid","model":"m","orders":[1,2,3,4],"revision":null,"seed":0,'
    '"weighting":"positions"}'
)
"""The default specification of the first release."""
TODAY = BEFORE.replace('"folds":8', '"estimator":"growth-4","folds":8').replace("python-docs", "weymouth-nt")


@dataclass(frozen=True, kw_only=True)
class Later(EstimateSpec):
    """A specification of some later version, whose estimates are debiased unless they are asked to be as before."""

    debias: str = field(default="jackknife", metadata=about("Correction of the bias.", as_before="none"))


def kind_of(spec: str) -> type[Spec]:
    return PreferenceSpec if json.loads(spec).get("labels") == "preference" else EstimateSpec


def test_the_id_of_every_shipped_estimate_is_computed_again_unchanged() -> None:
    rows = read.query(DATA, "SELECT estimate_id, spec, digest, corpus_digest FROM estimates").rows()
    assert len(rows) > 500
    for estimate_id, spec, digest, corpus_digest in rows:
        canonical = kind_of(spec).from_json(spec).canonical()
        assert canonical == spec
        assert identity(canonical, digest, corpus_digest) == estimate_id


def test_the_canonical_form_of_today_is_what_it_was() -> None:
    assert EstimateSpec(model="m").canonical() == TODAY
    changed = EstimateSpec(
        model="m", directions="orthonormal", center=True, temperature_rule="exact", label_weighting="labels"
    )
    assert json.loads(changed.canonical()) == json.loads(TODAY) | {
        "frame": "orthonormal", "centred": True, "calibration": "exact", "weighting": "labels",
    }  # fmt: skip


def test_a_later_field_changes_no_id_where_it_means_as_before() -> None:
    assert Later(model="m", debias="none").canonical() == TODAY
    assert json.loads(Later(model="m").canonical()) == json.loads(TODAY) | {"debias": "jackknife"}


def test_json_from_before_a_later_field_means_as_before() -> None:
    assert Later.from_json(TODAY) == Later(model="m", debias="none")
    for debias in ("none", "jackknife"):
        spec = Later(model="m", debias=debias)
        assert Later.from_json(spec.canonical()) == spec
    rows = read.query(DATA, "SELECT DISTINCT spec FROM overview")["spec"]
    assert all(Later.from_json(spec).canonical() == spec for spec in rows)


def test_a_later_field_that_is_as_before_is_named_where_that_is_no_longer_usual() -> None:
    assert Later.unusual(json.loads(TODAY)) == {"debias": "none"}
    assert Later.unusual(json.loads(Later(model="m").canonical())) == {}


def test_a_specification_of_an_earlier_estimator_opens_and_keeps_its_id() -> None:
    earlier = TODAY.replace("growth-4", "growth-3")
    spec = EstimateSpec.from_json(earlier)
    assert spec.canonical() == earlier
    assert spec.current().canonical() == TODAY


def test_what_is_usual_is_the_defaults() -> None:
    assert EstimateSpec.unusual(json.loads(TODAY)) == {}
    assert EstimateSpec.unusual({"orders": [1], "bins": 50, "frame": "iid"}) == {"bins": 50, "orders": [1]}


def test_json_of_a_later_version_is_refused_with_a_remedy() -> None:
    with pytest.raises(InputError, match=r"unknown keys debias; expected some of bins, .*: upgrade softh"):
        EstimateSpec.from_json(Later(model="m").canonical())


@pytest.mark.parametrize("spec", [EstimateSpec, PreferenceSpec])
def test_every_field_says_what_it_is_and_what_it_was_called(spec: type[Spec]) -> None:
    needed = {"model": "m", "pairs": "p"} if spec is PreferenceSpec else {"model": "m"}
    for each in dataclasses.fields(spec):
        assert each.metadata["help"].endswith(".")
        if each.default is dataclasses.MISSING:
            continue
        options = offered(each, spec)
        value = options[-1] if options else "x" if each.name == "source" else each.default
        today = spec.from_options({**needed, each.name: value})
        assert spec.from_options({**needed, stored_name(each): value}) == today
        assert json.loads(today.canonical())[stored_name(each)] == json.loads(json.dumps(value))


def test_an_unknown_option_lists_what_there_is_and_a_setting_is_given_once() -> None:
    with pytest.raises(InputError, match=r"sead is not a setting; expected one of bins, .*seed"):
        EstimateSpec.from_options({"model": "m", "sead": 1})
    with pytest.raises(InputError, match="give directions once"):
        EstimateSpec.from_options({"model": "m", "directions": "iid", "frame": "iid"})
