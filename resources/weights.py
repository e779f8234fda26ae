"""Stores model weights in the lake: folders of safetensors beside the Delta tables, named by their content.

Readers see a folder only when it is complete: its manifest (name, size and sha256 of every file) is written last, and
readers ignore a folder without a manifest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resources.store import store_at

MANIFEST = "manifest.json"


class WeightsError(RuntimeError):
    """Weights are missing, or differ from their manifest."""


def put(folder: Path, base: str) -> tuple[str, str]:
    """Copy a folder of weights to `<base>/<sha16>`, unless it is there already.

    Returns its URI and the sha256 over all names and contents, whose first 16 digits are `sha16`.
    """
    manifest = _described(folder)
    if not manifest:
        raise WeightsError(f"{folder} holds no files to store as weights: expected a folder with safetensors")
    digest = _digest(manifest)
    uri = f"{base}/{digest[:16]}"
    text = json.dumps({"sha256": digest, "files": manifest}, indent=1)
    if "://" in uri:
        store = store_at(uri)
        if not _has(store, MANIFEST):
            for name in manifest:
                with (folder / name).open("rb") as source, store.open_output_stream(name) as target:
                    shutil.copyfileobj(source, target, 16 << 20)
            with store.open_output_stream(MANIFEST) as target:
                target.write(text.encode())
        return uri, digest
    target = Path(uri)
    if not (target / MANIFEST).is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(target) as partial:
            for name in manifest:
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, partial / name)
            (partial / MANIFEST).write_text(text)
    return uri, digest


def get(uri: str, cache: Path, asset: str) -> Path:
    """A local folder with the weights of a URI: the folder itself if it is local, else a verified copy in `cache`.
    `asset` is what makes the weights."""
    missing = WeightsError(f"there are no weights at {uri}: `nemotron run --force {asset}` makes them again")
    if "://" not in uri:
        if not (Path(uri) / MANIFEST).is_file():
            raise missing
        return Path(uri)
    store = store_at(uri)
    if not _has(store, MANIFEST):
        raise missing
    with store.open_input_stream(MANIFEST) as source:
        manifest = json.loads(source.read())
    target = cache / manifest["sha256"]
    if (target / MANIFEST).is_file():
        return target
    with _replacing(target) as partial:
        for name, facts in manifest["files"].items():
            path = (partial / name).resolve()
            if not path.is_relative_to(partial.resolve()):
                raise WeightsError(f"{uri}: the manifest names a file outside the folder: {name!r}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with store.open_input_stream(name) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy, 16 << 20)
            if _sha256(path) != facts["sha256"]:
                raise WeightsError(f"{uri}/{name} is damaged: its sha256 is not that of the manifest; store it again")
        (partial / MANIFEST).write_text(json.dumps(manifest))
    return target


def damage(uri: str) -> Iterator[str]:
    """What differs from the manifest in the weights of a URI, a sentence per file."""
    store = store_at(uri)
    try:
        with store.open_input_stream(MANIFEST) as source:
            files = json.loads(source.read())["files"]
    except FileNotFoundError:
        yield f"{uri} has no {MANIFEST}, so it is not a folder of weights"
        return
    except (OSError, ValueError, KeyError) as error:
        yield f"{uri}/{MANIFEST} cannot be read: {error}"
        return
    for name, facts in files.items():
        try:
            with store.open_input_stream(name) as source:
                found = _digest_of(source)
        except FileNotFoundError:
            yield f"{uri}/{name} is missing"
        except OSError as error:
            yield f"{uri}/{name} cannot be read: {error}"
        else:
            if found != facts["sha256"]:
                yield f"{uri}/{name} has the sha256 {found}; its manifest recorded {facts['sha256']}"


def folder_sha256(folder: Path) -> str:
    """The sha256 over all names and contents of a folder of weights: the one that `put` returns for it."""
    manifest = folder / MANIFEST
    return json.loads(manifest.read_text())["sha256"] if manifest.is_file() else _digest(_described(folder))


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that takes its place when the context ends without an error."""
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        yield partial
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _described(folder: Path) -> dict[str, dict[str, Any]]:
    """{relative path: size and sha256} of every file in a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return {str(p.relative_to(folder)): {"bytes": p.stat().st_size, "sha256": _sha256(p)} for p in files}


def _digest(manifest: dict[str, dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return _digest_of(file)


def _digest_of(stream: Any) -> str:
    digest = hashlib.sha256()
    while block := stream.read(4 << 20):
        digest.update(block)
    return digest.hexdigest()


def _has(store, name: str) -> bool:
    from pyarrow.fs import FileType

    return store.get_file_info([name])[0].type == FileType.File
