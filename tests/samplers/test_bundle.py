"""Samplers as one file: the same saliencies as the run's checkpoints; every other file is refused."""

import json
import resource
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import scslib
from scslib.jobs.run_folder import WorkspaceError
from scslib.models.checkpoints import load_sampler
from scslib.models.reading import CheckpointError
from scslib.models.samplers import MODALITIES
from scslib.samplers.bundle import export, load_trained
from scslib.samplers.cascade import Cascade
from scslib.samplers.features import FeatureSpec, read_video
from scslib.samplers.learned import LearnedSampler
from scslib.video.clips import index_clips


@pytest.fixture(scope="module")
def features(movie):
    index = index_clips(movie.path, clip_len=4)
    return read_video(index, FeatureSpec(clip_len=4), MODALITIES, [3, 4, 5, 6])  # around the tone


@pytest.fixture(scope="module")
def file(tiny_run, tmp_path_factory):
    """Exported by the run's name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCS_WORK", str(tiny_run.parents[1]))
        return scslib.export("tiny", tmp_path_factory.mktemp("export") / "new" / "all.safetensors")


@pytest.fixture(scope="module")
def trained(tiny_run, file):
    return {"file": load_trained(file), "run": load_trained(tiny_run)}


@pytest.fixture(scope="module")
def checkpoints(tiny_run):
    """The networks one by one, as notebooks load them."""
    paths = sorted((tiny_run / "checkpoints").glob("*-rank-seed0.safetensors"))
    return {path.name.partition("-")[0]: load_sampler(path)[0] for path in paths}


def rewritten(source, target, change):
    """The file with its settings and weights changed in place by `change(about, weights)`."""
    with safe_open(source, framework="pt") as opened:
        about = json.loads(opened.metadata()["scslib"])
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(about, weights)
    save_file(weights, target, {"scslib": json.dumps(about)})
    return target


def refused(path, *words) -> None:
    with pytest.raises(CheckpointError) as error:
        load_trained(path)
    line = str(error.value)
    assert str(path) in line and "\n" not in line and len(line) < 400
    for word in words:
        assert word in line, line


MADE_OF = {
    "audio": ["audio"],
    "visual": ["iframes", "motion", "residual"],
    "mean-of-four": ["iframes", "motion", "residual", "audio"],
    "audio-visual": ["joint"],
    "cascade": ["iframes", "audio", "joint"],
}


@pytest.mark.parametrize("method", MADE_OF)
@pytest.mark.parametrize("source", ["file", "run"])
def test_a_file_gives_the_very_saliencies_of_the_run(trained, checkpoints, features, source, method):
    found = trained[source]
    assert found.spec == FeatureSpec(clip_len=4) and found.objective == "rank"
    single = [LearnedSampler(name, "rank", (checkpoints[name],)) for name in MADE_OF[method]]
    if method == "cascade":
        expected = Cascade(method, tuple(single[:2]), single[2], 1).saliency(features, "")
    else:
        expected = np.mean([one.saliency(features, "") for one in single], axis=0)
    assert len(np.unique(expected)) > 2
    sampler = found.sampler(method, k=1)
    assert sampler.name == method
    np.testing.assert_allclose(sampler.saliency(features, ""), expected, rtol=1e-6)
    if source == "file":  # and to the bit what the run itself gives
        same = trained["run"].sampler(method, k=1).saliency(features, "")
        np.testing.assert_array_equal(sampler.saliency(features, ""), same)


def test_weights_are_the_same_to_the_bit(trained, checkpoints):
    for name, network in checkpoints.items():
        state = trained["file"].networks[name].state_dict()
        assert state.keys() == network.state_dict().keys()
        assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
        assert not trained["file"].networks[name].training


def test_another_seed_is_another_sampler(trained, tiny_run):
    first, second = (
        t.networks["joint"].head.weight for t in (trained["run"], load_trained(tiny_run, seed=1))
    )
    assert not torch.equal(first, second)


def test_what_was_exported_can_be_exported_again(file, tmp_path):
    again = export(file, tmp_path / "again.safetensors")
    assert again.read_bytes() == file.read_bytes() and list(tmp_path.iterdir()) == [again]


def test_a_folder_without_samplers(tmp_path):
    with pytest.raises(WorkspaceError, match="yours: no trained samplers"):
        load_trained(tmp_path / "yours")


def test_a_run_without_one_of_its_networks_is_refused_by_name(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "checkpoints" / "motion-rank-seed0.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"motion-rank-seed0\.safetensors"):
        load_trained(run)
    with pytest.raises(CheckpointError, match="seed7"):
        load_trained(tiny_run, seed=7)


@pytest.mark.parametrize("name", ["movement", "", "joint", "Audio"])
def test_another_samplers_name_is_refused(trained, name):
    with pytest.raises(ValueError, match=rf"sampler \('{name}'\) must be one of .*cascade"):
        trained["file"].sampler(name, k=2)


def test_export_wants_a_file_of_its_kind(tiny_run, tmp_path):
    with pytest.raises(ValueError, match=r"path \(.*x\.pt\) must end in \.safetensors"):
        export(tiny_run, tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())


def test_files_of_another_kind(tiny_run, tmp_path):
    text = tmp_path / "text.safetensors"
    text.write_text("these are no weights\n" * 50)
    refused(text, "broken")
    empty = tmp_path / "empty.safetensors"
    empty.write_bytes(b"")
    refused(empty, "broken")
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, other)
    refused(other, "scs export")
    save_file({"a": torch.zeros(3)}, other, {"scslib": "no JSON"})
    refused(other, "broken")
    save_file({"a": torch.zeros(3)}, other, {"scslib": "[1, 2]"})
    refused(other)
    refused(tiny_run / "checkpoints" / "joint-rank-seed0.safetensors", "scs export")
    refused(tmp_path / "absent.safetensors", "no such file")
    renamed = tmp_path / "renamed.bin"
    renamed.write_bytes(b"\x00" * 100)
    refused(renamed, "broken")


@pytest.mark.parametrize("part", [0.5, 0.05, 0.999])
def test_a_truncated_file(file, tmp_path, part):
    content = file.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: int(part * len(content))])
    refused(tmp_path / "cut.safetensors", "broken")


def without(name):
    return lambda about, weights: about["networks"].pop(name)


def without_weights(about, weights):
    for key in [key for key in weights if key.startswith("motion.")]:
        del weights[key]


def settings(network="iframes", **values):
    return lambda about, weights: about["networks"][network].update(values)


def header(**values):
    return lambda about, weights: about.update(values)


@pytest.mark.parametrize(
    "change, word",
    [
        (without("joint"), "joint"),
        (without("motion"), "motion"),
        (without_weights, "broken"),
        (lambda about, weights: weights.pop("iframes.head.bias"), "broken"),
        (lambda about, weights: weights.update({"iframes.more": torch.zeros(2)}), "broken"),
        (lambda about, weights: about.pop("objective"), "objective"),
        (lambda about, weights: about.pop("features"), "features"),
        (header(objective=5), "objective (5)"),
        (header(objective="best"), "objective ('best')"),
        (header(objective=["rank"]), "objective (['rank'])"),
        (header(features={"clip_length": 4}), "clip_length"),
        (header(features=None), ""),
        (header(networks=[]), ""),
        (header(kind="classifier"), "scs export"),
        (header(format=1), "scs export"),
        (settings(width=8), "broken"),
        (settings(width="wide"), ""),
        (settings(width=-4), ""),
        (settings(depth=50), "depth"),
        (settings(modalities=["smell"]), "smell"),
        (settings(backbone="vit"), "vit"),
        (settings(modalities=None), ""),
    ],
)
def test_settings_that_do_not_fit(file, tmp_path, change, word):
    refused(rewritten(file, tmp_path / "changed.safetensors", change), word)


@pytest.mark.parametrize(
    "claim",
    [{"width": 256}, {"width": 10**6}, {"network": "audio", "sound_width": 10**6}, {"outputs": 10**9}],
    ids=str,
)
def test_a_claimed_size_takes_no_memory(file, tmp_path, claim):
    path = rewritten(file, tmp_path / "huge.safetensors", settings(**claim))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, "broken")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
