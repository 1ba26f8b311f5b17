"""The command ``softh preference``."""

import typer

from softh import jobs
from softh.cli.options import AsJson, Data, Device, Queue, folder, with_options_of
from softh.cli.output import say, show_queued, show_stored
from softh.cli.progress_bar import Bar
from softh.spec import PreferenceSpec
from softh.store import write


@with_options_of(PreferenceSpec)
def preference(
    spec: PreferenceSpec, device: Device = "auto", queue: Queue = False, data: Data = None, as_json: AsJson = False
) -> None:
    """Probe each layer of MODEL for information about which of two answers to a prompt was preferred.

    Prints and stores the information with its null, a linear model for comparison, and baselines of length and words
    alone. Pairs that are identical, empty, repeated or too long are counted and excluded.
    """
    if queue:
        job, new = jobs.submit_spec(spec, {"device": device}, data)
        show_queued(job, new=new)
        return
    place = folder(data)
    write.check_writable(place)
    say(f"Loading {spec.model} …")
    try:
        from softh.preference.probe import estimate  # torch takes seconds to import; the other commands do without

        with Bar() as bar:
            record = estimate(spec, device=device, progress=bar).record()
    except KeyboardInterrupt:
        say("Stopped: nothing was stored.")
        raise typer.Exit(130) from None
    write.save(record, place)
    show_stored(place, record["estimate"]["estimate_id"], as_json=as_json)
