"""Where the jobs of a recipe find their input and leave their output."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softh.spec import identity
from zoo.recipe import PostTraining, Quantised, Recipe, Run
from zoo.tokens import Library

Job = Run | PostTraining | Quantised
ENDED = {"finished", "diverged"}


@dataclass(frozen=True)
class Place:
    """A recipe, its texts and its folder of work."""

    recipe: Recipe
    library: Library
    pairs: Path
    work: Path

    def folder(self, job: Job) -> Path:
        """Everything that one job leaves. Another setting is another folder, so nothing stale is ever taken up."""
        run = self.run(job)
        text = (self.library.built_in, self.library.limit)  # wherever the books lie
        settings = [run, self.recipe.sizes[run.size], self.recipe.measure, text]
        return self.work / "runs" / f"{job.name}-{identity(repr(job), *map(repr, settings))[:8]}"

    def run(self, job: Job) -> Run:
        """The pretraining run that a job is or builds on."""
        return job if isinstance(job, Run) else self.recipe.run(job.base)

    def summary(self, job: Job) -> dict[str, Any]:
        """What the job said when it last ended; that it is waiting before that."""
        path = self.folder(job) / "summary.json"
        said = json.loads(path.read_text()) if path.exists() else {}
        return {"name": job.name, "kind": job.kind, "status": "waiting"} | said

    def summaries(self) -> list[dict[str, Any]]:
        """What every job said."""
        return [self.summary(job) for job in self.recipe.jobs()]

    def ended(self, job: Job) -> bool:
        """Whether there is nothing left to do for a job."""
        return self.summary(job)["status"] in ENDED
