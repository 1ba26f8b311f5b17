"""What an experiment tracker is told of a training: numbers by name, the plane as a picture, phases once they are sure.

No tracker is needed or imported here: numbers go through the trainer's own log, and pictures and sentences through the
package of each tracker that its ``report_to`` has started.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from softh.quantities import BY_COLUMN, PLANE

if TYPE_CHECKING:  # a training imports no package of tables before there is one
    import polars as pl

    from softh.analysis import phases

Row = dict[str, Any]
Draw = Callable[[str, np.ndarray, int], object]
"""Sends a picture, uint8 [height, width, 3], by name, at a step."""
Tell = Callable[[str, str, int], object]
"""Sends a sentence by name, at a step."""

_CURVES = ("entropy", "input", "output")
_ENDS = ("", "_se_draws", "_se_documents", "_draws", "_folds")
_SAME = ("corpus_digest", "documents", "folds", "bins", "draws", "context", "seed", "labels", "estimator")
"""Columns that estimates of one curve have in common."""


def metrics(record: Row) -> dict[str, float]:
    """Numbers of an estimate for a tracker, by names such as ``softh/some-text/1/input``.

    Of the mean over layers H, I(X;Z), I(Y;Z) and optimality at every order, debiased or else null-corrected, each with
    ``_se_draws`` and ``_se_documents``; of every layer their values at the lowest order, ``softh/…/1/layer03/input``.
    Of a preference probe ``softh/pairs/preference`` with both errors, ``softh/pairs/layer03/preference`` and the
    accuracy of a linear model, ``softh/pairs/layer03/linear``.
    """
    start = f"softh/{_plain(record['estimate']['corpus'])}"
    rows = [row for row in record["measures"] if row["value"] is not None]
    if record["estimate"]["labels"] == "preference":
        return _of_probe(rows, start)
    lowest = _lowest(record)
    names = {(each.quantity, each.variable): each.column for each in PLANE}
    found: dict[str, float] = {}
    for correction in ("corrected", "debiased"):  # the latter replaces the former where there is one
        for row in rows:
            column = names.get((row["quantity"], row["variable"]))
            wanted = correction if column and BY_COLUMN[column].has_labels else "raw"
            if column is None or row["correction"] != wanted:
                continue
            order = row["ngram"] or lowest
            if row["layer"] is None:
                found |= _with_errors(f"{start}/{order}/{column}", row)
            elif order == lowest:
                found[f"{start}/{order}/layer{row['layer']:02}/{column}"] = row["value"]
    return found


def _of_probe(rows: Sequence[Row], start: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in rows:
        what = (row["quantity"], row["variable"], row["correction"])
        if what == ("information", "preference", "corrected"):
            if row["layer"] is None:
                found |= _with_errors(f"{start}/preference", row)
            else:
                found[f"{start}/layer{row['layer']:02}/preference"] = row["value"]
        elif what == ("accuracy", "linear", "raw") and row["layer"] is not None:
            found[f"{start}/layer{row['layer']:02}/linear"] = row["value"]
    return found


def _with_errors(name: str, row: Row) -> dict[str, float]:
    errors = {f"{name}_{kind}": row[kind] for kind in ("se_draws", "se_documents") if row[kind] is not None}
    return {name: row["value"], **errors}


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _lowest(record: Row) -> int:
    return min((row["ngram"] for row in record["measures"] if row["ngram"] is not None), default=1)


class Curve:
    """Estimates of one training on one text, in the order of their steps: their picture, and the phases they show.

    >>> curve = Curve()
    >>> curve.steps, curve.ends()
    ([], {})
    """

    def __init__(self, before: "pl.DataFrame | None" = None) -> None:
        """`before` are rows of :func:`softh.store.read.trajectory` that a resumed training continues."""
        self.before = before
        self.rows: dict[int, Row] = {}
        self.told: set[str] = set()
        """Phases whose end was told."""
        self._sure: set[str] = set()

    @property
    def steps(self) -> list[int]:
        """Steps of the estimates."""
        return sorted(self.rows)

    def add(self, record: Row) -> None:
        """Take in an estimate of a step; one of the same step takes the place of the former."""
        row = _row(record)
        if self.before is not None:
            import polars as pl

            earlier = self.before.filter(
                pl.col("step") < row["step"], ngram=row["ngram"], correction=row["correction"],
                **{name: row[name] for name in _SAME},
            )  # fmt: skip
            self.rows |= {each["step"]: {name: each[name] for name in row} for each in earlier.to_dicts()}
            self.before = None
        self.rows[row["step"]] = row

    def ends(self) -> "dict[str, phases.Boundary]":
        """Phase, collapse or fitting → where it ends, of those that are sure by now; none before four estimates."""
        rows = [self.rows[step] for step in self.steps]
        if len(rows) < 4:
            return {}
        import polars as pl

        from softh.analysis import phases

        table = pl.DataFrame(rows, infer_schema_length=None)
        found = phases.of_runs(table, [rows[0]["model"]], joined=False)
        return found[0].ends if found else {}

    def news(self, ends: "Mapping[str, phases.Boundary]") -> list[str]:
        """Phases to tell of: sure now, sure at the estimate before, too, and not told yet.

        Twice, since every estimate is another look, and one look in twenty is sure of a turn that is none.
        """
        new = [name for name in ends if name in self._sure - self.told]
        self._sure = set(ends)
        self.told |= set(new)
        return new

    def picture(self) -> np.ndarray:
        """The plane of the mean over layers so far, I(X;Z) across and I(Y;Z) up, uint8 [480, 640, 3].

        Raises:
            ImportError: without matplotlib, which nothing else here needs.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # of pictures alone
        from matplotlib.figure import Figure

        from softh.analysis.standard_errors import combined

        figure = Figure(figsize=(6.4, 4.8), dpi=100, layout="constrained")
        canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
        rows = [self.rows[step] for step in self.steps if self.rows[step]["input"] is not None]
        x, y = ([row[name] for row in rows] for name in ("input", "output"))
        errors = [[combined(row[f"{name}_se_draws"], row[f"{name}_se_documents"]) or 0.0 for row in rows]
                  for name in ("input", "output")]  # fmt: skip
        axes.errorbar(x, y, xerr=errors[0], yerr=errors[1], color="0.7", linewidth=1, zorder=1)
        dots = axes.scatter(x, y, c=np.log2(np.array([row["step"] for row in rows]) + 1), cmap="viridis", zorder=2)
        bar = figure.colorbar(dots, label="training step")
        bar.ax.yaxis.set_major_formatter(lambda place, _: f"{2**place - 1:.0f}")
        last = self.rows[self.steps[-1]]
        axes.set(title=f"{last['model']}, step {last['step']:,}\n{last['corpus']}", xlabel=BY_COLUMN["input"].title,
                 ylabel=BY_COLUMN["output"].title)  # fmt: skip
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def sentence(name: str, end: "phases.Boundary") -> str:
    """The end of a phase in words.

    >>> from softh.analysis import phases
    >>> sentence("collapse", phases.Boundary(412.3, 300.0, 700.0))
    'The collapse ended at step 412, 95 % interval 300 to 700.'
    """
    return f"The {name} ended at step {end.step:.0f}, 95 % interval {end.low:.0f} to {end.high:.0f}."


def numbers_of(ends: "Mapping[str, phases.Boundary]", start: str) -> dict[str, float]:
    """The ends of phases as numbers by name, ``…/end_of_collapse`` with ``_low`` and ``_high``."""
    parts = (("", "step"), ("_low", "low"), ("_high", "high"))
    return {
        f"{start}/end_of_{name}{suffix}": getattr(end, part) for name, end in ends.items() for suffix, part in parts
    }


def name_of(record: Row) -> str:
    """How the names of the numbers of an estimate begin, ``softh/some-text/1``."""
    return f"softh/{_plain(record['estimate']['corpus'])}/{_lowest(record)}"


def _row(record: Row) -> Row:
    """The mean over layers at the lowest order, with the columns of :func:`softh.store.read.trajectory`."""
    estimate, order = record["estimate"], _lowest(record)
    means = {
        (row["quantity"], row["variable"], row["correction"]): row
        for row in record["measures"]
        if row["layer"] is None and row["ngram"] in (None, order)
    }
    debiased = means.get(("information", "input", "debiased"), {}).get("value") is not None
    correction = "debiased" if debiased else "corrected"
    values: Row = {}
    for column in _CURVES:
        quantity = BY_COLUMN[column]
        found = means[quantity.quantity, quantity.variable, correction if quantity.has_labels else "raw"]
        values |= {f"{column}{end}": found["value" if not end else end[1:]] for end in _ENDS}
    about = {name: estimate[name] for name in ("model", "corpus", *_SAME)}
    return {**about, "step": record["checkpoint"]["step"], "tokens": record["checkpoint"]["tokens"], "ngram": order,
            "correction": correction, **values}  # fmt: skip


def senders(trainer: Any) -> tuple[Draw, Tell]:
    """Functions that send pictures and sentences to the trackers that the ``report_to`` of a trainer has started.

    Trackers are those whose callbacks the trainer has; a tracker that is not among the four known ones gets none.
    """
    callbacks = {type(each).__name__: each for each in trainer.callback_handler.callbacks}
    found = [(_SENDERS[name], each) for name, each in callbacks.items() if name in _SENDERS]

    def draw(name: str, image: np.ndarray, step: int) -> None:
        for (send, _), callback in found:
            send(callback, name, image, step)

    def tell(name: str, text: str, step: int) -> None:
        for (_, send), callback in found:
            send(callback, name, text, step)

    return draw, tell


def _module(name: str) -> Any:
    """A tracker's package, which its callback has imported."""
    return sys.modules[name]


def _draw_tensorboard(callback: Any, name: str, image: np.ndarray, step: int) -> None:
    callback.tb_writer.add_image(name, image, step, dataformats="HWC")


def _tell_tensorboard(callback: Any, name: str, text: str, step: int) -> None:
    callback.tb_writer.add_text(name, text, step)


def _draw_wandb(_: Any, name: str, image: np.ndarray, step: int) -> None:
    wandb = _module("wandb")
    wandb.log({name: wandb.Image(image), "train/global_step": step})


def _tell_wandb(_: Any, name: str, text: str, step: int) -> None:
    _module("wandb").log({name: text, "train/global_step": step})


def _draw_mlflow(_: Any, name: str, image: np.ndarray, step: int) -> None:
    _module("mlflow").log_image(image, key=name, step=step)


def _tell_mlflow(_: Any, name: str, text: str, step: int) -> None:
    _module("mlflow").set_tag(name, f"step {step}: {text}")


def _draw_trackio(_: Any, name: str, image: np.ndarray, step: int) -> None:
    trackio = _module("trackio")
    trackio.log({name: trackio.Image(image), "train/global_step": step})


def _tell_trackio(_: Any, name: str, text: str, step: int) -> None:
    _module("trackio").log({name: text, "train/global_step": step})


_SENDERS: dict[str, tuple[Callable[..., None], Callable[..., None]]] = {
    "TensorBoardCallback": (_draw_tensorboard, _tell_tensorboard),
    "WandbCallback": (_draw_wandb, _tell_wandb),
    "MLflowCallback": (_draw_mlflow, _tell_mlflow),
    "TrackioCallback": (_draw_trackio, _tell_trackio),
}
"""Callback of transformers → how its tracker takes a picture and a sentence."""
