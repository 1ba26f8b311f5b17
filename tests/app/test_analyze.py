"""The analyze page: three ways in, what an estimate takes, jobs in every state, and one's own estimates."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from dashboard.workspace import model_form, score_upload
from softh import jobs
from softh.checkpoints import hub as checkpoints_hub
from softh.errors import InputError
from softh.jobs import client, records
from softh.scores import load
from softh.store import read, write
from softh.uploads import receive
from tests.hub import Hub, Repo, commit, files_of, reached
from tests.tiny import save_model

APP = str(Path(__file__).parents[2] / "app.py")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for everything, and no worker that would run anything."""
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(client, "ensure_worker", lambda data=None: None)
    monkeypatch.setattr(jobs, "ensure_worker", lambda data=None: None)
    # AppTest begins every run in Streamlit's older way of pages; frame.enter then runs again and a press is lost.
    really = PagesManager.__init__

    def routed(self: PagesManager, *given: Any, **more: Any) -> None:
        really(self, *given, **more)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", routed)
    return tmp_path / "data"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with reached(tmp_path / "hub", monkeypatch) as server:
        yield server


def opened(**link: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/analyze.py")
    for key, value in link.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, app.exception
    return app


def text(app: AppTest) -> str:
    shown = (app.info, app.warning, app.error, app.success, app.markdown, app.caption, app.title)
    return "\n".join(element.value for group in shown for element in group)


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    app.run()
    assert not app.exception, app.exception
    return app


def publish(hub: Hub, name: str, folder: Path, *revisions: str) -> None:
    files = files_of(folder)
    hub.repos[f"models/{name}"] = Repo({revision: {**files, "of": revision.encode()} for revision in revisions})


def test_an_empty_page_says_what_to_do() -> None:
    words = text(opened())
    assert "No job yet" in words
    assert "Nothing yet" in words


def test_a_server_that_offers_no_folder_says_so() -> None:
    assert "Set `SOFTH_MODELS=/path/a:/path/b` and restart" in text(opened(way=model_form.FOLDER))


def test_a_model_of_a_folder_is_looked_at_and_queued_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "shared" / "tiny")
    monkeypatch.setenv("SOFTH_MODELS", str(tmp_path / "shared"))
    app = opened(way=model_form.FOLDER, documents="16", context="32")
    assert "LlamaForCausalLM" in text(app)
    assert "Nothing to download" in text(app)
    press(press(app, "Estimate"), "Estimate")
    (job,) = jobs.listing()
    assert job.settings["model"] == str(tmp_path / "shared" / "tiny")
    assert (job.settings["documents"], job.settings["context"]) == (16, 32)


def test_the_page_says_how_many_models_an_estimate_can_be_compared_with(
    tmp_path: Path, data: Path, record: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path / "shared" / "tiny")
    monkeypatch.setenv("SOFTH_MODELS", str(tmp_path / "shared"))
    write.save(record("Other", corpus="weymouth-nt", documents=16, context=32, draws=8), data)
    write.save(record("Longer", corpus="weymouth-nt", documents=16, context=64), data)
    assert "to compare with: 1." in text(opened(way=model_form.FOLDER, documents="16", context="32"))
    assert "No model was measured on this text" in text(opened(way=model_form.FOLDER, documents="8", context="32"))


def test_a_context_beyond_the_model_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "shared" / "tiny")
    monkeypatch.setenv("SOFTH_MODELS", str(tmp_path / "shared"))
    app = opened(way=model_form.FOLDER, context="512")
    assert "ask for a context of 128" in text(app)
    assert "Estimate" not in [button.label for button in app.button]


def test_an_accepted_upload_is_chosen_and_leaves_the_control(tmp_path: Path) -> None:
    files = files_of(save_model(tmp_path / "tiny"))
    app = opened(way=model_form.UPLOAD, context="32")
    first = [("config.json", files["config.json"], ""), ("tokenizer.json", files["tokenizer.json"], "")]
    app.file_uploader[0].set_value(first).run()
    assert "has no weights" in text(app)
    weights = ("model.safetensors", files["model.safetensors"], "")
    app.file_uploader[0].set_value([*first, weights]).run()
    assert not app.exception, app.exception
    assert not app.error
    assert not app.file_uploader[0].value
    (kept,) = receive.list_models()
    assert app.selectbox(key="kept").value == f"config ({kept.model[-6:]})"
    assert "LlamaForCausalLM" in text(app)
    press(app, "Estimate")
    (job,) = jobs.listing()
    assert (job.settings["model"], job.settings["corpus"]) == (kept.model, "weymouth-nt")
    assert job.title == "config on weymouth-nt, 256 × 32 tokens"


def test_an_upload_that_does_not_fit_is_called_by_its_name(tmp_path: Path) -> None:
    files = files_of(save_model(tmp_path / "tiny"))
    accepted = receive.accept([receive.Part(name, io.BytesIO(data)) for name, data in files.items()], name="mine")
    app = opened(way=model_form.UPLOAD, kept=f"mine ({accepted.model[-6:]})", context="512")
    assert "mine reads 128 tokens at most" in text(app)


def test_a_text_of_one_s_own_is_kept_and_leaves_the_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "shared" / "tiny")
    monkeypatch.setenv("SOFTH_MODELS", str(tmp_path / "shared"))
    app = opened(way=model_form.FOLDER, text="a file", context="32")
    assert "Estimate" not in [button.label for button in app.button]
    app.file_uploader(key="text-file-0").set_value(("words.txt", b"one\n\ntwo", "text/plain")).run()
    assert not app.file_uploader(key="text-file-1").value
    assert "Chosen: words.txt" in text(app)
    press(app, "Estimate")
    (job,) = jobs.listing()
    assert Path(job.settings["corpus"].removeprefix("file:")).read_bytes() == b"one\n\ntwo"


def test_a_search_of_the_hub_is_one_bounded_request(hub: Hub) -> None:
    hub.repos |= {f"models/acme/tiny-{number}": Repo({"main": {}}) for number in range(12)}
    hub.repos["models/acme/large"] = Repo({"main": {}})
    found = checkpoints_hub.search("tiny")
    assert len(found) == 8
    assert all(name.startswith("acme/tiny-") for name in found)
    assert hub.requests.count("GET /api/models") == 1
    assert checkpoints_hub.search("nothing like it") == []


def test_a_hub_that_does_not_answer_is_a_sentence(hub: Hub) -> None:
    hub.status = 503
    with pytest.raises(InputError, match="write the id in full"):
        checkpoints_hub.search("tiny")


def test_the_hub_is_asked_only_where_the_search_is_turned_on(hub: Hub) -> None:
    app = opened()
    assert hub.requests == []
    [search] = [toggle for toggle in app.toggle if toggle.label == "Search the hub as you type"]
    app = search.set_value(True).run()
    assert not app.exception
    assert hub.requests == []  # nothing is typed


def test_revisions_of_the_hub_become_a_trajectory_of_pinned_commits(hub: Hub, tmp_path: Path) -> None:
    names = ["main", *(f"step{2**power}" for power in range(8))]
    publish(hub, "owner/run", save_model(tmp_path / "tiny"), *names)
    app = opened(hub="owner/run", checkpoints="a trajectory", points="3", documents="16", context="32")
    press(app, "Estimate 3 checkpoints")
    found = jobs.listing()
    revisions = hub.repos["models/owner/run"].revisions
    assert [job.settings["revision"] for job in found] == ["step1", "step16", "step128"]
    assert [job.settings["commit"] for job in found] == [commit(revisions[job.settings["revision"]]) for job in found]


def test_one_branch_or_a_commit_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    publish(hub, "owner/one", save_model(tmp_path / "tiny"), "main", "other")
    sha = commit(hub.repos["models/owner/one"].revisions["other"])
    app = opened(hub="owner/one", context="32")
    assert sha[:12] not in text(app)
    assert sha[:12] in text(opened(hub="owner/one", at="other", context="32"))
    assert sha[:12] in text(opened(hub=f"owner/one@{sha}", context="32"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("owner/nothing", "no model of the hub"), ("owner/gated", "gated"), ("a b c", "hub id"), ("../up", "")],
)
def test_what_the_hub_refuses_is_a_sentence(name: str, sentence: str, hub: Hub, tmp_path: Path) -> None:
    publish(hub, "owner/gated", save_model(tmp_path / "tiny"), "main")
    hub.repos["models/owner/gated"].gated = True
    app = opened(hub=name, context="32")
    assert len(app.error) == 1
    assert sentence in app.error[0].value
    assert not jobs.listing()


def test_jobs_in_every_state_are_shown_and_obey(record: Callable, data: Path) -> None:
    made = record("Mine")
    write.save(record("Other", shape=lambda depth, order: (0.9, 0.5, 0.4, 0.1)), data)
    write.save(made, data)
    folder = jobs.folder()
    numbers = {}
    for name in ("running", "done", "failed", "waiting"):
        numbers[name], _ = records.add(folder, "estimate", f'{{"documents":64,"name":"{name}"}}', f"a {name} one", {})
        if name != "waiting":
            assert records.claim_next(folder) == numbers[name]
    records.advance(folder, numbers["running"], "forward passes", 1, 4)
    records.end(folder, numbers["done"], "done", result=made["estimate"]["estimate_id"])
    records.end(folder, numbers["failed"], "failed", message="It was too large; expected less: choose less.")
    app = opened()
    words = text(app)
    assert "It was too large" in words
    assert "Nearest: Other at main" in words
    assert "1 waiting" in words
    press(app, "Cancel")
    assert jobs.find(numbers["running"]).state == "cancelled"  # nobody else would: no worker lives
    app.button(key=f"retry-{numbers['failed']}").click().run()
    assert sum(job.title == "a failed one" for job in jobs.listing(jobs.OPEN)) == 1
    for _ in range(3):
        press(app, "Dismiss")
    assert not jobs.listing(jobs.ENDED)


def test_a_sweep_shows_its_units_while_it_runs_and_its_count_when_it_ended(data: Path) -> None:
    folder = jobs.folder()
    numbers = [records.add(folder, "sweep", f'{{"recipe":"{name}"}}', f"sweep of {name}", {})[0] for name in "ab"]
    assert [records.claim_next(folder) for _ in numbers] == numbers
    records.advance(folder, numbers[0], "checkpoints", 3, 24, "run/step8: statistics, 2 of 5")
    records.end(folder, numbers[1], "done", result="24 estimated, 0 stored before, 0 failed.")
    app = opened()
    assert "24 estimated, 0 stored before, 0 failed." in text(app)
    (bar,) = app.get("progress")
    assert bar.proto.value == 12
    assert "checkpoints, 3 of 24; now run/step8: counting, 2 of 5" in bar.proto.text


def test_one_s_own_estimate_is_deleted_and_others_stay(record: Callable, data: Path) -> None:
    for model in ("First", "Second"):
        write.save(record(model), data)
    app = opened()
    chosen = app.selectbox(key="estimate").value
    assert app.get("download_button")
    press(app, "Delete this estimate")
    left = read.estimates(data)["model"].to_list()
    assert len(left) == 1
    assert not chosen.startswith(left[0])


def test_a_score_typed_in_belongs_to_the_checkpoint(record: Callable, data: Path) -> None:
    write.save(record("Mine", "step8", step=8), data)
    app = opened()
    app.text_input(key="score-task").set_value("hellaswag")
    app.number_input(key="score-value").set_value(0.5)
    app.run()
    press(app, "Attach this score")
    (score,) = read.benchmarks(data).to_dicts()
    assert (score["model"], score["revision"], score["task"], score["score"]) == ("Mine", "step8", "hellaswag", 0.5)
    assert score["source"] == score_upload.BY_HAND


def test_scores_of_several_models_are_refused(record: Callable, data: Path) -> None:
    write.save(record("Mine"), data)
    found = load.read_scores("two.csv", b"model,task,score\na,t,0.1\nb,t,0.2\n").rows
    with pytest.raises(InputError, match="scores of 2 models"):
        score_upload.scores_of_checkpoint({"model": "Mine", "revision": "main", "step": None}, found)


def test_an_estimate_that_is_stored_is_offered(hub: Hub, tmp_path: Path, record: Callable, data: Path) -> None:
    publish(hub, "owner/stored", save_model(tmp_path / "tiny"), "main")
    app = opened(hub="owner/stored", context="32")
    press(app, "Estimate")
    (job,) = jobs.listing()
    fields = {key: value for key, value in job.settings.items() if key != "commit"}
    made = record("owner/stored")
    made["checkpoint"]["digest"] = job.settings["commit"]
    made["estimate"]["spec"] = records.json.dumps(fields, sort_keys=True, separators=(",", ":"))
    write.save(made, data)
    app = opened(hub="owner/stored", context="32")
    assert "This was estimated before" in text(app)
    assert "Estimate again" in [button.label for button in app.button]


def test_two_hundred_waiting_jobs_do_not_slow_the_page(data: Path) -> None:
    with records.connect(jobs.folder()) as connection:
        rows = [("steps", f'{{"name":{number}}}', "one of many", 0.0) for number in range(200)]
        connection.executemany("INSERT INTO jobs (kind, spec, title, submitted) VALUES (?, ?, ?, ?)", rows)
    app = opened()
    assert "200 waiting" in text(app)
    assert len(app.dataframe[0].value) == 200
