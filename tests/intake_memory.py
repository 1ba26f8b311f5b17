"""Peak memory of taking in two uploads of more than 300 MB, measured in a process of its own that prints it as JSON."""

import json
import resource
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from softh import access
from softh.errors import InputError
from softh.uploads import receive as intake

access.set_identity_provider(access.Person)

WIDTH, ROWS, INNER = 1024, 8192, 24_000
CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": ROWS, "hidden_size": WIDTH,
    "intermediate_size": INNER, "num_hidden_layers": 1, "num_attention_heads": 8,
}  # fmt: skip


def save(folder: Path) -> None:
    """A model of zeros, whose file takes no room on the disk it is made on."""
    shapes = {
        "model.embed_tokens.weight": [ROWS, WIDTH],
        **{f"model.layers.0.mlp.{name}_proj.weight": [INNER, WIDTH] for name in ("up", "gate", "down")},
    }
    header, at = {}, 0
    for name, (rows, width) in shapes.items():
        header[name] = {"dtype": "F32", "shape": [rows, width], "data_offsets": [at, at + 4 * rows * width]}
        at += 4 * rows * width
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    vocabulary = {f"t{n}": n for n in range(ROWS)}
    Tokenizer(WordLevel(vocabulary, unk_token="t0")).save(str(folder / "tokenizer.json"))


def receive(folder: Path) -> str:
    """Packed as a tar, taken in: the name it got or the sentence of its refusal."""
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, "model")
    with path.open("rb") as file:
        try:
            return intake.accept([intake.Part(path.name, file)]).model
        except InputError as error:
            return str(error)


def main() -> None:
    """Take in a good upload, then the same with a header of 100 MB."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "large"
        folder.mkdir()
        save(folder)
        accepted = receive(folder)
        with (folder / "model.safetensors").open("r+b") as file:
            file.write((100_000_000).to_bytes(8, "little"))
        refusal = receive(folder)
        size = (folder / "model.safetensors").stat().st_size
    # The kernel's count since this program began: getrusage would count what it was before, a copy of pytest.
    own = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    peak = max(int(own), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024
    print(json.dumps({"bytes": size, "peak": peak, "accepted": accepted, "refusal": refusal}))  # noqa: T201


if __name__ == "__main__":
    main()
