"""Metrics of the web process for Prometheus: runs of pages, jobs, estimates, memory."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from softh import jobs, settings
from softh.errors import InputError
from softh.jobs import records
from softh.store import read

PAGES = Histogram(
    "softh_page_run_seconds", "Seconds that runs of a page took.", ["page"],
    buckets=(0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12),
)  # fmt: skip


class StoredCounts(Collector):
    """Counts of jobs and estimates, read at every scrape: other processes change them, and a restart keeps them."""

    def collect(self) -> Iterator[Metric]:
        """Open jobs, ended jobs with their seconds, and stored estimates; nothing where the tables cannot be read."""
        try:
            folder = jobs.folder()
            waiting = GaugeMetricFamily("softh_jobs_open", "Jobs that wait or run.", labels=["state"])
            for state, count in records.waiting_and_running(folder).items():
                waiting.add_metric([state], count)
            ended = SummaryMetricFamily(
                "softh_job_seconds", "Jobs that ended, and how long they ran.", labels=["state"]
            )
            for state, (count, seconds) in records.ended(folder).items():
                ended.add_metric([state], count, seconds)
            estimates = read.estimates(settings.data()).height
        except InputError:
            return
        yield from (waiting, ended, GaugeMetricFamily("softh_estimates", "Estimates that are stored.", estimates))

    def describe(self) -> list[Metric]:
        """Nothing in advance: registering reads no table."""
        return []


REGISTRY.register(StoredCounts())


@contextmanager
def timed(page: str) -> Generator[None]:
    """Count one run of a page and its seconds, however it ends."""
    with PAGES.labels(page).time():
        yield


def text() -> bytes:
    """All metrics in Prometheus' text form, memory and processor time of this process among them."""
    return generate_latest(REGISTRY)
