"""Uploads of strangers: a good one, and every way we know of making it a bad one."""

import gzip
import io
import json
import lzma
import pickle
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np

from softh.uploads.receive import Part

Files = dict[str, bytes]


class Canary:
    """Unpickled, it leaves a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(CANARY),)


CANARY = str(Path(gettempdir()) / "softh-canary")
CODE = f"import pathlib; pathlib.Path({CANARY!r}).touch()\n".encode()
INDEX = "model.safetensors.index.json"
SHARD = "model-{:05}-of-00002.safetensors"


@dataclass(frozen=True)
class Case:
    """One bad upload, and words that its refusal says; none when it is made harmless and accepted."""

    make: Callable[[Files], list[Part]]
    words: tuple[str, ...]


# How uploads are made


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> list[Part]:
    """A zip file with a folder around the files."""
    return [Part("upload.zip", io.BytesIO(zip_bytes({f"tiny/{name}": data for name, data in files.items()}, method)))]


def zip_bytes(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_bytes(files: Files, extra: Callable[[tarfile.TarFile], None] | None = None, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # ty: ignore[no-matching-overload]  # mode is a literal
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if extra:
            extra(archive)
    return buffer.getvalue()


def raw(content: bytes, name: str = "upload.zip") -> list[Part]:
    return [Part(name, io.BytesIO(content))]


def loose(files: Files) -> list[Part]:
    """The files one by one, as a browser sends them."""
    return [Part(name, io.BytesIO(content)) for name, content in files.items()]


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]], **header: Any) -> bytes:
    """A safetensors file from type, shape and bytes of each tensor."""
    entries: dict[str, Any] = {}
    at = 0
    for name, (dtype, shape, content) in tensors.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(content)]}
        at += len(content)
    text = json.dumps({**entries, **header}).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(content for _, _, content in tensors.values())


def tensors_of(content: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    """The other way round."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    return {
        name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def headed(header: bytes, data: int = 8) -> bytes:
    return len(header).to_bytes(8, "little") + header + bytes(data)


# How a good one becomes a bad one


def named(name: str) -> Callable[[Files], list[Part]]:
    """One more file of this name, in a zip."""
    return lambda files: raw(zip_bytes({**files, name: b"x"}))


def named_in_tar(name: str) -> Callable[[Files], list[Part]]:
    return lambda files: raw(tar_bytes({**files, name: b"x"}))


def special(kind: bytes, target: str = "/etc/passwd") -> Callable[[Files], list[Part]]:
    """One more entry of a kind that is no file, in a tar."""

    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("tiny/link")
        info.type, info.linkname = kind, target
        archive.addfile(info)

    return lambda files: raw(tar_bytes(files, add))


def zip_link(mode: int) -> Callable[[Files], list[Part]]:
    def make(files: Files) -> list[Part]:
        buffer = io.BytesIO(zip_bytes(files))
        with zipfile.ZipFile(buffer, "a") as archive:
            info = zipfile.ZipInfo("model.link")
            info.external_attr = (mode | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
        return raw(buffer.getvalue())

    return make


def patched(old: bytes, new: bytes, count: int = -1) -> Callable[[Files], list[Part]]:
    """A zip whose bytes are changed after the fact."""
    return lambda files: raw(zip_bytes(files, zipfile.ZIP_STORED).replace(old, new, count))


def with_file(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Callable[[Files], list[Part]]:
    return lambda files: zipped({**files, name: content}, method)


def without(*names: str) -> Callable[[Files], list[Part]]:
    return lambda files: zipped({name: data for name, data in files.items() if name not in names})


def config(**changes: Any) -> Callable[[Files], list[Part]]:
    return lambda files: zipped({**files, "config.json": _changed(files["config.json"], changes)})


def tokenizer_config(**changes: Any) -> Callable[[Files], list[Part]]:
    name = "tokenizer_config.json"
    return lambda files: zipped({**files, name: _changed(files[name], changes)})


def _changed(content: bytes, changes: dict[str, Any]) -> bytes:
    return json.dumps({**json.loads(content), **changes}).encode()


def weights(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Callable[[Files], list[Part]]:
    """Tensors changed in place, or others in their place."""

    def make(files: Files) -> list[Part]:
        tensors = tensors_of(files["model.safetensors"])
        return zipped({**files, "model.safetensors": safetensors(change(tensors) or tensors)})

    return make


def filled(dtype: str, value: bytes, of: int = 4) -> Callable[[Files], list[Part]]:
    """One matrix in another number format, every number the same."""

    def change(tensors: dict[str, Any]) -> None:
        name = "model.layers.1.mlp.up_proj.weight"
        _, shape, content = tensors[name]
        tensors[name] = (dtype, shape, value * (len(content) // of))

    return weights(change)


def renamed(old: str, new: str) -> Callable[[Files], list[Part]]:
    return weights(lambda tensors: {new if name == old else name: entry for name, entry in tensors.items()})


def shards(change: Callable[[Files, dict[str, Any]], None]) -> Callable[[Files], list[Part]]:
    """Weights split in two, then spoiled; the change gets the files and the content of the index."""

    def make(files: Files) -> list[Part]:
        tensors = tensors_of(files["model.safetensors"])
        names = sorted(tensors)
        halves = {SHARD.format(1): names[::2], SHARD.format(2): names[1::2]}
        whole = {name: data for name, data in files.items() if name != "model.safetensors"}
        split = {shard: safetensors({name: tensors[name] for name in half}) for shard, half in halves.items()}
        index = {"metadata": {}, "weight_map": {name: shard for shard, half in halves.items() for name in half}}
        content = {**whole, **split}
        change(content, index)
        return zipped({**content, INDEX: json.dumps(index).encode()})

    return make


def _nan(code: str) -> bytes:
    return np.array([np.nan], dtype=code).tobytes()


# The archives themselves


def _overlapping(files: Files) -> list[Part]:
    """Two entries of the table that share the bytes of one, as the better zip bombs have them."""
    content = bytearray(zip_bytes({**files, "a.txt": b"x" * 1000, "b.txt": b"x" * 1000}, zipfile.ZIP_STORED))
    first, table = content.index(b"a.txt") - 30, content.rindex(b"b.txt") - 46
    struct.pack_into("<I", content, table + 42, first)
    return raw(bytes(content))


def _lying_tar(size: int) -> Callable[[Files], list[Part]]:
    def make(files: Files) -> list[Part]:
        info = tarfile.TarInfo("tiny/model.safetensors")
        info.size = size
        return raw(_endless(files) + info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))

    return make


def _endless(files: Files) -> bytes:
    """A tar of the settings that goes on."""
    content = b""
    for name in ("config.json", "tokenizer.json"):
        info = tarfile.TarInfo(f"tiny/{name}")
        info.size = len(files[name])
        content += info.tobuf(tarfile.GNU_FORMAT) + files[name] + bytes(-info.size % 512)
    return content


def _long_header(kind: bytes, size: int) -> Callable[[Files], list[Part]]:
    """A header block that announces a name of many gigabytes, behind it zeros that pack to nothing."""

    def make(_: Files) -> list[Part]:
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, size
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb") as file:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            file.write(bytes(1 << 22))
        return raw(buffer.getvalue())

    return make


def _chained_headers(_: Files) -> list[Part]:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 512
    record = b"20 comment=aaaaaaaa\n"
    block = info.tobuf(tarfile.GNU_FORMAT) + record + bytes(512 - len(record))
    return raw(gzip.compress(block * 3000))


def _sparse(files: Files) -> list[Part]:
    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("tiny/hole.safetensors")
        info.type = tarfile.GNUTYPE_SPARSE
        archive.addfile(info)

    return raw(tar_bytes(files, add))


def _encrypted(files: Files) -> list[Part]:
    content = bytearray(zip_bytes(files))
    for at in _positions(content, b"PK\x01\x02"):
        content[at + 8] |= 1
    return raw(bytes(content))


def _long_table(files: Files) -> list[Part]:
    """A table of contents that says it is most of a large file."""
    content = bytearray(zip_bytes({**files, "pad": bytes(3 << 20)}, zipfile.ZIP_STORED))
    struct.pack_into("<II", content, len(content) - 10, len(content) - 100, 0)
    return raw(bytes(content))


def _other_name_inside(files: Files) -> list[Part]:
    content = zip_bytes({**files, "innocent": b"x"}, zipfile.ZIP_STORED)
    return raw(content.replace(b"innocent", b"../../ev", 1))


def _positions(content: bytes | bytearray, what: bytes) -> list[int]:
    found, at = [], content.find(what)
    while at >= 0:
        found.append(at)
        at = content.find(what, at + 1)
    return found


def _two_models(files: Files) -> list[Part]:
    return raw(zip_bytes({f"{folder}/{name}": data for folder in ("a", "b") for name, data in files.items()}))


def _tar_of(files: Files, mode: str) -> list[Part]:
    return raw(tar_bytes({f"tiny/{name}": data for name, data in files.items()}, mode=mode), "upload.tar.gz")


ARCHIVES: dict[str, Case] = {
    **{
        f"{kind} with {name!a}": Case(make(name), ("plain relative names",))
        for kind, make in (("zip", named), ("tar", named_in_tar))
        for name in (
            "../evil", "tiny/../../evil", "/tmp/evil", "C:\\evil", "..\\evil", "C:/evil", "\uff0e\uff0e/evil", "a//b",
            "a/./b", "new\nline", "\u202egnp.exe", "config.json:evil", "/".join("d" * 9), "n" * 300, "~\x7f", "*",
        )
    },
    "zip with NUL in a name": Case(patched(b"tokenizer_config.json", b"tokenizer\0config.json"), ("plain relative",)),
    "zip with a symlink": Case(zip_link(stat.S_IFLNK), ("link or a device",)),
    "zip with a device": Case(zip_link(stat.S_IFCHR), ("link or a device",)),
    "zip with a pipe": Case(zip_link(stat.S_IFIFO), ("link or a device",)),
    "tar with a symlink": Case(special(tarfile.SYMTYPE), ("link or a device",)),
    "tar with a symlink to a folder": Case(special(tarfile.SYMTYPE, ".."), ("link or a device",)),
    "tar with a hard link": Case(special(tarfile.LNKTYPE), ("link or a device",)),
    "tar with a character device": Case(special(tarfile.CHRTYPE), ("link or a device",)),
    "tar with a block device": Case(special(tarfile.BLKTYPE), ("link or a device",)),
    "tar with a pipe": Case(special(tarfile.FIFOTYPE), ("link or a device",)),
    "tar with an unknown kind": Case(special(b"Z"), ("link or a device",)),
    "tar with a sparse file": Case(_sparse, ("link or a device",)),
    "zip in a zip": Case(with_file("more.zip", zip_bytes({"a": b"b"})), ("another archive",)),
    "tar in a zip": Case(with_file("sub/more.TAR.GZ", b"x"), ("another archive",)),
    "wheel in a zip": Case(with_file("evil-1.0-py3-none-any.whl", b"x"), ("another archive",)),
    "a name twice in a zip": Case(
        lambda files: raw(zip_bytes(files).replace(b"generation_config.json", b"model_tokenizers.json")[:0]
                          + zip_bytes({**files, "aonfig.json": b"{}"}).replace(b"aonfig.json", b"config.json")),
        ("twice",),
    ),
    "a name twice in a tar": Case(
        lambda files: raw(tar_bytes({**files, "./config.json": b"{}"})), ("twice",)
    ),
    "names that differ in case alone": Case(with_file("Config.JSON", b"{}"), ("twice",)),
    "too many files in a zip": Case(
        lambda files: raw(zip_bytes({**files, **{f"f{n}": b"" for n in range(1001)}})), ("more than 1,000 files",)
    ),
    "too many files in a tar": Case(
        lambda files: raw(tar_bytes({**files, **{f"f{n}": b"" for n in range(1001)}})), ("more than 1,000 files",)
    ),
    "a bomb in a zip": Case(with_file("zeros", bytes(200 << 20)), ("100 times its size",)),
    "a bomb in a tar.gz": Case(
        lambda files: raw(gzip.compress(tar_bytes({**files, "zeros": bytes(200 << 20)}), 9)), ("100 times its size",)
    ),
    "a bomb behind the end of a tar": Case(
        lambda files: raw(gzip.compress(_endless(files) + bytes(200 << 20), 9)), ()
    ),
    "zip entries that overlap": Case(_overlapping, ("overlap",)),
    "a zip that says its files are shorter": Case(
        lambda files: raw(_shortened(zip_bytes(files, zipfile.ZIP_STORED))), ("cannot be unpacked",)
    ),
    "a tar that announces eight terabytes": Case(_lying_tar(8 << 40), ("the most that is taken",)),
    "a tar that ends within its weights": Case(_lying_tar(1 << 20), ("cannot be unpacked",)),
    "a tar name of four gigabytes": Case(_long_header(tarfile.GNUTYPE_LONGNAME, 4 << 30), ("headers are too long",)),
    "a tar comment of four gigabytes": Case(_long_header(tarfile.XHDTYPE, 4 << 30), ("headers are too long",)),
    "a tar of comments without end": Case(_chained_headers, ("cannot be unpacked",)),
    "a zip cut short": Case(lambda files: raw(zip_bytes(files)[:-40]), ("cannot be unpacked",)),
    "a tar.gz cut short": Case(lambda files: raw(gzip.compress(tar_bytes(files))[:-300]), ("cannot be unpacked",)),
    "a tar cut short": Case(lambda files: raw(tar_bytes(files)[:20_000]), ()),
    "a zip with a password": Case(_encrypted, ("encrypted",)),
    "a zip packed by lzma": Case(lambda files: zipped(files, zipfile.ZIP_LZMA), ("uncommon way",)),
    "a zip packed by bzip2": Case(lambda files: zipped(files, zipfile.ZIP_BZIP2), ("uncommon way",)),
    "a zip whose table is most of it": Case(_long_table, ("cannot be unpacked",)),
    "a zip with another name inside": Case(_other_name_inside, ("cannot be unpacked",)),
    "an empty zip": Case(lambda _: raw(zip_bytes({})), ("no config.json",)),
    "nothing in the file": Case(lambda _: raw(b""), ("not a known archive",)),
    "random bytes": Case(lambda _: raw(np.random.default_rng(0).bytes(10_000)), ("not a known archive",)),
    "random bytes behind a zip's first": Case(
        lambda _: raw(b"PK\x03\x04" + np.random.default_rng(1).bytes(10_000)), ("cannot be unpacked",)
    ),
    "random bytes behind a gzip's first": Case(
        lambda _: raw(b"\x1f\x8b\x08" + np.random.default_rng(2).bytes(10_000)), ("cannot be unpacked",)
    ),
    "a gzip of no tar": Case(lambda files: raw(gzip.compress(files["model.safetensors"])), ("cannot be unpacked",)),
    "a tar.xz": Case(lambda files: raw(lzma.compress(tar_bytes(files))), ("not a known archive",)),
    "a zip behind a script": Case(lambda files: raw(b"#!/bin/sh\n" + zip_bytes(files)), ("not a known archive",)),
}  # fmt: skip


def _shortened(content: bytes) -> bytes:
    changed = bytearray(content)
    for at in _positions(content, b"PK\x01\x02"):
        size = struct.unpack_from("<I", content, at + 24)[0]
        struct.pack_into("<I", changed, at + 24, size // 2)
    return bytes(changed)


# What is inside

PICKLE = pickle.dumps(Canary(), protocol=2)
LAYOUT: dict[str, Case] = {
    "two models": Case(_two_models, ("2 models, in a and b",)),
    "no config": Case(without("config.json"), ("no config.json",)),
    "no tokenizer": Case(without("tokenizer.json"), ("no tokenizer",)),
    "a slow tokenizer alone": Case(
        lambda files: zipped({**{n: d for n, d in files.items() if n != "tokenizer.json"}, "tokenizer.model": b"x"}),
        ("expected tokenizer.json",),
    ),
    "no weights": Case(without("model.safetensors"), ("no weights",)),
    "weights as a pickle": Case(
        lambda files: zipped({**{n: d for n, d in files.items() if n != "model.safetensors"},
                              "pytorch_model.bin": PICKLE}),
        ("pickles, which can run code",),
    ),
    "a pickle called model.safetensors": Case(with_file("model.safetensors", PICKLE), ("pickle",)),
    "a pickle of protocol 4 called so": Case(
        with_file("model.safetensors", pickle.dumps(Canary(), protocol=4)), ("pickle",)
    ),
    "an archive of pickles called so": Case(
        with_file("model.safetensors", zip_bytes({"archive/data.pkl": PICKLE})), ("pickle",)
    ),
    "a pickle called tokenizer.json": Case(with_file("tokenizer.json", PICKLE), ("tokenizer.json", "cannot be used")),
    "a pickle called config.json": Case(with_file("config.json", PICKLE), ("config.json is not a JSON object",)),
    "a GGUF file": Case(lambda _: raw(zip_bytes({"model.gguf": b"GGUF"})), ("GGUF", "folder of the server")),
    "whole and split weights": Case(
        lambda files: zipped({**files, SHARD.format(1): files["model.safetensors"]}), ("both whole and split",)
    ),
    "a shard missing": Case(shards(lambda files, _: [files.pop(SHARD.format(2))][:0]), ("lacks model-00002",)),
    "a tensor in two shards": Case(
        shards(lambda files, _: files.update({SHARD.format(2): files[SHARD.format(1)]})), ("in two files",)
    ),
    "an index of another model": Case(
        shards(lambda _, index: index["weight_map"].update({"x": SHARD.format(1)})), ("promises",)
    ),
    "an index that leads out": Case(
        shards(lambda _, index: index["weight_map"].update({"x": "../../evil.safetensors"})), ("lacks", "evil")
    ),
    "an index without a map": Case(shards(lambda _, index: index.update(weight_map=[1])), ("weight_map",)),
    "an index of numbers": Case(shards(lambda _, index: index["weight_map"].update({"x": 1})), ("weight_map",)),
}  # fmt: skip

HEADERS: dict[str, Case] = {
    name: Case(with_file("model.safetensors", content, zipfile.ZIP_STORED), (words,))
    for name, content, words in (
        ("a header longer than its file", (1 << 62).to_bytes(8, "little") + bytes(64), "announces a header"),
        ("a header of 9 MB", headed(b" " * 9_000_000), "are enough for any model"),
        ("a header that is no JSON", headed(b"{" * 16), "not JSON"),
        ("a header nested without end", headed(b"[" * 100_000), "not JSON"),
        ("a header that is not UTF-8", headed(b'{"\xff": 1}'), "not JSON"),
        ("a header that is a list", headed(b"[]"), "not a JSON object"),
        ("a header of numbers without end", headed(b'{"a": ' + b"9" * 10_000 + b"}"), "not JSON"),
        ("a name twice", headed(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}}'), "name twice"),
        ("metadata of numbers", safetensors({}, __metadata__={"n": 1}), "metadata"),
        ("tensors that overlap", safetensors({}, **{n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
                                             for n in "ab"}) + bytes(8), "was due"),
        ("a hole", safetensors({}, a={"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}) + bytes(16), "was due"),
        ("bytes of no tensor", safetensors({"a": ("F32", [2], bytes(8))}) + b"x", "header announces"),
        ("a tensor outside the file", safetensors({}, a={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}),
         "header announces"),
        ("a shape that does not fill its bytes", safetensors({"a": ("F32", [3], bytes(8))}), "fill its bytes"),
        ("a negative shape", safetensors({"a": ("F32", [-2], bytes(8))}), "proper shape"),
        ("a shape of truths", safetensors({"a": ("F32", [True, 2], bytes(8))}), "proper shape"),
        ("a shape beyond all numbers", safetensors({"a": ("F32", [2**62, 2**62], bytes(8))}), "fill its bytes"),
        ("a shape of a thousand sides", safetensors({"a": ("F32", [1] * 1000, bytes(4))}), "proper shape"),
        ("an unknown type", safetensors({"a": ("X7", [2], bytes(8))}), "unknown type"),
        ("no tensor at all", safetensors({}), "without a tensor"),
    )
}  # fmt: skip

VALUES: dict[str, Case] = {
    "not a number in float32": Case(filled("F32", _nan("<f4")), ("infinite values or NaN", "up_proj")),
    "infinite float32": Case(filled("F32", struct.pack("<f", -np.inf)), ("infinite values or NaN",)),
    "not a number in float16": Case(filled("F16", _nan("<f2")), ("infinite values or NaN",)),
    "not a number in bfloat16": Case(filled("BF16", b"\xc0\x7f"), ("infinite values or NaN",)),
    "not a number in float64": Case(filled("F64", _nan("<f8")), ("infinite values or NaN",)),
    "weights of whole numbers": Case(filled("I32", bytes(4)), ("type I32",)),
    "weights of truths": Case(filled("BOOL", bytes(1)), ("type BOOL",)),
    "weights of eight bits": Case(filled("F8_E4M3", bytes(1)), ("type F8_E4M3",)),
    "no embedding": Case(
        weights(lambda tensors: {n: t for n, t in tensors.items() if "embed" not in n and "head" not in n}),
        ("no embedding",),
    ),
    "an embedding of another width": Case(
        weights(lambda tensors: {**tensors, "model.embed_tokens.weight": ("F32", [300, 8], bytes(9600))}),
        ("300 × 8", "300 × 16"),
    ),
    "a layer less than the config says": Case(
        weights(lambda tensors: {n: t for n, t in tensors.items() if "layers.1" not in n}), ("weights of 1 layers",)
    ),
}

CONFIGS: dict[str, Case] = {
    "an architecture of its own": Case(
        config(model_type="mine", auto_map={"AutoModel": "evil.Model"}), ("'mine'", "never run")
    ),
    "an architecture that is a list": Case(config(model_type=["llama"]), ("unknown to the installed",)),
    "no architecture": Case(config(model_type=None), ("unknown to the installed",)),
    "an architecture that reads no text": Case(config(model_type="vit"), ("no language model",)),
    "an encoder with a decoder": Case(config(model_type="bart"), ("encoder with a decoder",)),
    "a million layers": Case(config(num_hidden_layers=1_000_000), ("num_hidden_layers as 1000000",)),
    "no layers": Case(config(num_hidden_layers=0), ("num_hidden_layers as 0",)),
    "less than no layers": Case(config(num_hidden_layers=-2), ("num_hidden_layers as -2",)),
    "layers in words": Case(config(num_hidden_layers="two"), ("num_hidden_layers as 'two'",)),
    "half a layer": Case(config(num_hidden_layers=1.5), ("num_hidden_layers as 1.5",)),
    "a layer more than the weights": Case(config(num_hidden_layers=3), ("weights of 2 layers", "says 3")),
    "a layer less than the weights": Case(config(num_hidden_layers=1), ("weights of 2 layers", "says 1")),
    "another vocabulary": Case(config(vocab_size=301), ("300 × 16", "301 × 16")),
    "another width": Case(config(hidden_size=32), ("300 × 16", "300 × 32")),
    "an absurd width": Case(config(hidden_size=10**9), ("hidden_size as 1000000000",)),
    "an absurd number of heads": Case(config(num_attention_heads=10**7), ("num_attention_heads",)),
    "an absurd inner width": Case(config(intermediate_size=10**12), ("intermediate_size",)),
    "a number beyond all numbers": Case(config(rms_norm_eps=10**300), ("rms_norm_eps",)),
    "not a number": Case(config(rope_theta=float("nan")), ("not a number",)),
    "quantised weights": Case(config(quantization_config={"quant_method": "gptq"}), ("quantised weights",)),
    "a config that is a list": Case(with_file("config.json", b"[]"), ("config.json is not a JSON object",)),
    "a config nested without end": Case(
        with_file("config.json", b"[" * 100_000), ("config.json is not a JSON object",)
    ),
    "settings nested deeply": Case(
        config(rope_parameters=json.loads('{"rope_parameters":' * 20 + "1" + "}" * 20)), ("nested too deeply",)
    ),
    "a config of two megabytes": Case(
        config(architectures=["x" * 2_000_000]), ("config.json has more than 1,000,000",)
    ),
}

TOKENIZERS: dict[str, Case] = {
    "tokens beyond the embedding": Case(
        lambda files: zipped({**files, "tokenizer.json": _more_tokens(files["tokenizer.json"], 10)}),
        ("tokenizer of 310 tokens", "300 rows"),
    ),
    "an id far beyond the embedding": Case(
        lambda files: zipped({**files, "tokenizer.json": _far_token(files["tokenizer.json"])}), ("ids up to 5,000",)
    ),
    "a tokenizer that is an object of nothing": Case(with_file("tokenizer.json", b"{}"), ("cannot be used",)),
    "a tokenizer that is a number": Case(with_file("tokenizer.json", b"1"), ("cannot be used",)),
    "a tokenizer nested without end": Case(with_file("tokenizer.json", b"[" * 100_000), ("cannot be used",)),
    "a tokenizer of 65 MB": Case(
        lambda files: raw(zip_bytes({**files, "tokenizer.json": b" " * 65_000_000}, zipfile.ZIP_STORED)),
        ("tokenizer.json has more than 64,000,000",),
    ),
    "settings of the tokenizer that are no object": Case(
        with_file("tokenizer_config.json", b"3"), ("not a JSON object",)
    ),
}

FILES: dict[str, Case] = {
    "an adapter": Case(
        with_file("adapter_config.json", b'{"base_model_name_or_path": "evil/model"}'),
        ("holds a model and an adapter beside it", "merge"),
    ),
    "no file": Case(lambda _: [], ("Nothing was uploaded",)),
    "a file with a path": Case(lambda files: loose({**files, "../../evil": b"x"}), ("plain relative names",)),
    "a file twice": Case(lambda files: [*loose(files), *loose(files)], ("a file twice",)),
    "files without a config": Case(
        lambda files: loose({name: data for name, data in files.items() if name != "config.json"}), ("no config.json",)
    ),
    "weights alone": Case(lambda files: loose({"model.safetensors": files["model.safetensors"]}), ("no config.json",)),
    "a pickle alone": Case(lambda _: loose({"pytorch_model.bin": PICKLE}), ("not a known archive",)),
    "an archive among files": Case(lambda files: loose({**files, "more.zip": b"x"}), ("another archive",)),
}

HARMLESS: dict[str, Case] = {
    "code beside a known architecture": Case(
        lambda files: zipped({**files, "config.json": _changed(files["config.json"], {
            "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}), "evil.py": CODE}), ()
    ),
    "code in place of libraries": Case(
        lambda files: zipped({**files, **dict.fromkeys(("json.py", "tokenizers.py", "usercustomize.py"), CODE)}),
        (),
    ),
    "attention from the hub": Case(config(_attn_implementation="evil/kernel", attn_implementation="evil/kernel"), ()),
    "experts from the hub": Case(config(_experts_implementation="evil/kernel", use_kernels=True), ()),
    "weights elsewhere": Case(config(transformers_weights="../../evil.safetensors"), ()),
    "another model's name": Case(config(_name_or_path="evil/model", name_or_path="/etc"), ()),
    "pipelines": Case(config(custom_pipelines={"evil": {"impl": "evil.Pipeline"}}), ()),
    "an address": Case(config(rope_scaling=None, x="https://evil", activation_function="https://evil"), ()),
    "labels": Case(config(id2label={str(n): "x" * 100 for n in range(1000)}), ()),
    "code for the tokenizer": Case(tokenizer_config(auto_map={"AutoTokenizer": ["evil.T", "evil.F"]}), ()),
    "a tokenizer of its own": Case(tokenizer_config(tokenizer_class="EvilTokenizer"), ()),
    "a template": Case(tokenizer_config(chat_template="{% for x in range(10**9) %}{% endfor %}"), ()),
    "a pickle beside the weights": Case(with_file("pytorch_model.bin", PICKLE), ()),
    "a folder of optimiser states": Case(with_file("checkpoint-1/optimizer.pt", PICKLE), ()),
}  # fmt: skip

REFUSED = {
    name: case
    for cases in (ARCHIVES, LAYOUT, HEADERS, VALUES, CONFIGS, TOKENIZERS, FILES)
    for name, case in cases.items()
    if case.words
}


def _more_tokens(content: bytes, count: int) -> bytes:
    tokenizer = json.loads(content)
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary.update({f"new{n}": len(vocabulary) + n for n in range(count)})
    return json.dumps(tokenizer).encode()


def _far_token(content: bytes) -> bytes:
    tokenizer = json.loads(content)
    tokenizer["model"]["vocab"]["far"] = 5000
    return json.dumps(tokenizer).encode()
