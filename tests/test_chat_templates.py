"""A chat template is found wherever transformers keeps it, decides the digest, and an upload says that it has none."""

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from softh.checkpoints.resolve import resolve
from softh.cost.preflight import preflight
from softh.models.loading import load_model
from softh.preference.completions import chat_template, completions
from softh.preference.pairs import load
from softh.spec import EstimateSpec
from softh.uploads import receive
from tests.hub import Hub, Repo, files_of, reached
from tests.tiny import save_model

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)
PLACES = {
    "tokenizer_config.json": lambda folder, text: _set(folder / "tokenizer_config.json", text),
    "chat_template.jinja": lambda folder, text: _write(folder / "chat_template.jinja", text),
    "chat_template.json": lambda folder, text: _set(folder / "chat_template.json", text),
    "processor_config.json": lambda folder, text: _set(folder / "processor_config.json", text),
    "named templates in tokenizer_config.json": lambda folder, text: _set(
        folder / "tokenizer_config.json",
        [{"name": "default", "template": text}, {"name": "tool_use", "template": "tools"}],
    ),
    "additional_chat_templates": lambda folder, text: _write(folder / "additional_chat_templates" / "chat.jinja", text),
}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def _set(path: Path, template: object) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, "chat_template": template}))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture(params=list(PLACES))
def folder(request: pytest.FixtureRequest, plain: Path, tmp_path: Path) -> Path:
    """A model with its template in one of the places."""
    copy = Path(shutil.copytree(plain, tmp_path / "model"))
    PLACES[request.param](copy, TEMPLATE)
    return copy


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with reached(tmp_path / "hub", monkeypatch) as server:
        yield server


def _all_files(folder: Path) -> dict[str, bytes]:
    more = folder / "additional_chat_templates"
    return files_of(folder) | {f"{more.name}/{path.name}": path.read_bytes() for path in more.glob("*")}


def _prompts(model: str, tmp_path: Path) -> list[list[int]]:
    rows = [{"prompt": f"Ship {n}?", "chosen": f"Argo {n}", "rejected": f"no {n}"} for n in range(16)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenizer = load_model(resolve(model)).tokenizer
    assert chat_template(tokenizer) == TEMPLATE
    made = completions(load(str(tmp_path / "pairs.jsonl"), 100, 0), tokenizer, 64)
    assert made.templated
    expected = tokenizer("<user>Ship 0?<a>", add_special_tokens=False)["input_ids"]
    assert made.tokenized.ids[0][: made.first[0]].tolist() == expected
    return [ids.tolist() for ids in made.tokenized.ids]


def test_a_folder_and_the_hub_use_the_same_template(folder: Path, hub: Hub, tmp_path: Path) -> None:
    hub.repos["models/a/b"] = Repo({"main": _all_files(folder)})
    assert preflight(EstimateSpec(model="a/b")).download > 0
    assert _prompts("a/b", tmp_path) == _prompts(str(folder), tmp_path)
    assert preflight(EstimateSpec(model="a/b")).download == 0


def test_another_template_is_another_checkpoint(folder: Path, plain: Path, request: pytest.FixtureRequest) -> None:
    first = resolve(str(folder)).digest
    assert first != resolve(str(plain)).digest
    PLACES[request.node.callspec.params["folder"]](folder, TEMPLATE + "!")
    assert resolve(str(folder)).digest != first


def test_a_model_without_a_template_keeps_its_digest(plain: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(plain, tmp_path / "model"))
    (copy / "processor_config.json").write_text('{"image_seq_length": 64}')
    (copy / "additional_chat_templates").mkdir()
    assert resolve(str(copy)).digest == resolve(str(plain)).digest


@pytest.mark.parametrize("name", ["chat_template.jinja", "chat_template.json", "tokenizer_config.json"])
def test_an_upload_says_that_its_template_was_left_out(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    copy = Path(shutil.copytree(plain, tmp_path / "model"))
    PLACES[name](copy, TEMPLATE)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file, content in files_of(copy).items():
            archive.writestr(f"model/{file}", content)
    loose = [receive.Part(file, io.BytesIO(content)) for file, content in files_of(copy).items()]
    for parts in ([receive.Part("model.zip", packed)], loose):
        accepted = receive.accept(parts)
        assert accepted.left_out == ("chat_template",)
        assert chat_template(load_model(resolve(accepted.model)).tokenizer) is None
        receive.delete(accepted.model)
