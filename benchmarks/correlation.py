"""The benchmarks page on 450 models, 10 scores and all predictors: seconds from a click to the new figures.

``python -m benchmarks.correlation`` makes the store in a temporary folder, chooses in a real browser what nobody chose
before, so that nothing is remembered, and writes benchmarks/results/correlation.json. The statistics alone are timed
with twelve predictors, more than the page has. Nothing is resampled: each family is left out in turn.
"""

import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page

from benchmarks._million import ARCHITECTURE, record
from benchmarks.pages import spread
from softh.analysis import correlation
from softh.store import write
from tests.harness import browser, serving

RESULTS = Path(__file__).with_name("results") / "correlation.json"
MODELS, SCORES, FAMILIES, LAYERS = 450, 10, 30, 2
TARGET = 1.5
_WHAT = "p => p.layout.meta.alt + [...p._fullData[0].x ?? []].slice(0, 9)"
"""What a figure says: words that round may stay the same where the numbers under them changed."""
_CHANGED = f"""before => {{
  const what = {_WHAT}
  const plots = [...document.querySelectorAll(".js-plotly-plot")]
  const drawn = plots.map(p => p.querySelector(".main-svg") ? what(p) : "").join()
  const still = document.querySelector("[data-testid=stApp]").dataset.testScriptState === "notRunning"
  return plots.length === 3 && still && drawn !== before
}}"""
_DRAWN = f'() => [...document.querySelectorAll(".js-plotly-plot")].map({_WHAT}).join()'


def main() -> None:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for made in records():
            write.save(made, data)
        write.pack(data, list(scores()))
        with serving(data) as address, browser() as chromium:
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            page.goto(f"{address}/benchmarks")
            page.wait_for_function(_CHANGED, arg="")
            seconds = {f"{option} ({n})": click(page, (name, option)) for n, (name, option) in enumerate(clicks())}
    found = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load average": [round(load, 1), round(os.getloadavg()[0], 1)],
        "models": MODELS, "scores": SCORES, "predictors": len(correlation.PREDICTORS), "families": FAMILIES,
        "families left out": FAMILIES, "target": TARGET, "seconds": spread(list(seconds.values())),
        "clicks": {name: round(value, 2) for name, value in seconds.items()}, "statistics": statistics(),
    }  # fmt: skip
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def statistics() -> dict[str, float]:
    """Median seconds of the whole matrix of 450 models, 12 predictors and 10 scores, by coefficient."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((MODELS, 12)), random.standard_normal((MODELS, SCORES))
    family = [f"family {number % FAMILIES}" for number in range(MODELS)]
    names = [str(number) for number in range(12)]
    medians = {}
    for method in correlation.METHODS:
        spent = []
        for _ in range(5):
            began = time.perf_counter()
            correlation.matrix(x, y, family, names, names[:SCORES], method)
            spent.append(time.perf_counter() - began)
        medians[method] = round(float(np.median(spent)), 3)
    return medians


def clicks() -> Iterator[tuple[str, str]]:
    """Control and option, such that every view is a new one."""
    for order, correction in zip("1234", ("raw", "corrected", "raw", "corrected"), strict=True):
        if order != "1":
            yield "n-gram order", order
        for coefficient in ("pearson", "kendall", "spearman"):
            yield "Coefficient", coefficient
        yield "Correction", correction


def click(page: Page, control: tuple[str, str]) -> float:
    """Seconds from a click on an option to the figures that follow from it."""
    name, option = control
    before = page.evaluate(_DRAWN)
    group = page.get_by_test_id("stButtonGroup").filter(has_text=name)
    began = time.perf_counter()
    group.get_by_role("radio", name=option, exact=True).click()
    page.wait_for_function(_CHANGED, arg=before, polling=20)
    return time.perf_counter() - began


def records() -> Iterator[dict[str, Any]]:
    """Finished models of thirty families; their numbers are a function of their names."""
    kinds = list(ARCHITECTURE)
    for number in range(MODELS):
        kind, family = kinds[number % len(kinds)], f"family-{number % FAMILIES}"
        made = record(f"{family}-{number}m", kind, "base", 10**6 * (number + 1), None, LAYERS)
        made["model"]["family"] = family
        yield made


def scores() -> Iterator[dict[str, Any]]:
    """Ten scores of every model."""
    chance = random.Random(0)
    for made in records():
        for task in range(SCORES):
            yield {
                "model": made["model"]["model"], "revision": None, "task": f"task {task}", "metric": "accuracy",
                "score": chance.uniform(0.2, 0.9), "stderr": 0.01, "source": "made up",
            }  # fmt: skip


if __name__ == "__main__":
    main()
