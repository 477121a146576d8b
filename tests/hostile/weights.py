"""Weights that run code, take memory, or claim what they are not."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from scslib.models.checkpoints import load_classifier, load_sampler, save_sampler
from scslib.models.samplers import SamplerNetwork
from scslib.samplers.bundle import export
from tests.hostile.corpus import Place, hostile


class _Pwn:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@hostile("weights")
def pickle_in_zip(place: Place):
    """a .pth file (of torch.save) with a call in its pickle | makes a folder outside when it is
    loaded | `holds more than weights: reading it would call posix.mkdir, so it is refused`"""
    path = place.folder / "model.pth"
    torch.save({"fc.weight": _Pwn(place.outside / "pwned")}, path)
    return lambda: load_classifier(path)


@hostile("weights")
def bare_pickle(place: Place):
    """a bare pickle named model.pth | makes a folder outside when it is loaded |
    `reading it would call posix.mkdir, so it is refused`"""
    path = place.folder / "model.pth"
    path.write_bytes(pickle.dumps(_Pwn(place.outside / "pwned"), protocol=2))
    return lambda: load_classifier(path)


@hostile("weights")
def weights_bomb(place: Place):
    """a .pth file of some kB whose weights unpack to a hundred times as much | fills the memory |
    `more than torch.save writes`"""
    path = place.folder / "model.pth"
    plain = io.BytesIO()
    torch.save({"fc.weight": torch.zeros(10, 10_000)}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
    return lambda: load_classifier(path)


@hostile("weights")
def huge_header(place: Place):
    """a safetensors file whose header claims 2^62 bytes | makes the reader set aside as much |
    `cannot be read`"""
    path = place.folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{" * 100)
    return lambda: load_classifier(path)


def _claims(place: Place, **claims: object) -> Path:
    """Small weights of the kit's, with other things said of them in the JSON."""
    path = place.folder / "model.safetensors"
    features = {"clip_len": 4}
    network = SamplerNetwork(("motion",), 1, 4, 4)
    save_sampler(path, network, objective="rank", classes=["a"], features=features)
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(about | claims))
    return path


@hostile("weights")
def absurd_width(place: Place):
    """a sampler's JSON that claims a width of a million | makes the network, of some 100 TB, before
    the weights are looked at | `the weights do not fit the network`"""
    path = _claims(place, width=10**6)
    return lambda: load_sampler(path)


@hostile("weights")
def absurd_clip(place: Place):
    """a sampler's JSON that claims clips of a billion frames | makes the reader of the next video
    hold as many | `clip_len (1000000000) must be a number in 0..1024`"""
    path = _claims(place, features={"clip_len": 10**9})
    return lambda: load_sampler(path)


@hostile("weights")
def absurd_classifier(place: Place):
    """a classifier's JSON that claims a width of a million | makes the network before the weights
    are looked at | `the weights do not fit the network`"""
    about = {"kind": "classifier", "architecture": "mc3_18", "classes": ["a", "b"], "input": {}}
    path = _claims(place, **about, width=10**6)
    return lambda: load_classifier(path)


@hostile("weights")
def odd_settings(place: Place):
    """an exported sampler whose settings are objects | ends in a traceback | `its settings are
    incomplete or wrong`"""
    path = place.folder / "all.safetensors"
    about = {"kind": "scslib sampler", "format": 2, "objective": "rank", "networks": {"iframes": [1]}}
    save_file({"a": torch.zeros(1)}, path, {"scslib": json.dumps(about | {"features": {}})})
    return lambda: export(path, place.folder / "out.safetensors")
