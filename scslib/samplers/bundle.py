"""Trained samplers as one object, from a run or from one exported file.

    scs export RUN FILE.safetensors           scslib.export("laptop", "sampler.safetensors")
    scs sample VIDEO --run FILE.safetensors   scslib.sample("match.mp4", sampler="sampler.safetensors")

The file is a safetensors file: weights named NETWORK.LAYER, and one JSON of settings in its header.
Loading it runs no code. What samplers of yours have learnt is in it, too; their code is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from scslib.jobs import devices
from scslib.jobs.files import replacing
from scslib.jobs.run_folder import Run, WorkspaceError, resolve
from scslib.models.checkpoints import load_sampler
from scslib.models.reading import CheckpointError, bounded
from scslib.models.samplers import SamplerNetwork
from scslib.samplers.base import Fitted, Sampler, Setting
from scslib.samplers.features import FeatureSpec
from scslib.samplers.fitted import as_fitted, load_fitted
from scslib.samplers.learned import NETWORK_INPUTS, LearnedSampler, sampler_checkpoint
from scslib.samplers.registry import make_sampler

OBJECTIVES = ("ac", "rank")
FITTED_KEY = "own:"  # before the arrays of samplers of yours: own:NAME:ARRAY
BUNDLE, FORMAT = "scslib sampler", 2


@dataclass(frozen=True, eq=False)
class SamplerBundle:
    """The samplers of one seed, ready for any video: `networks` by name, and how videos are read.

    fitted: what samplers of yours have learnt, by their names.
    """

    networks: Mapping[str, SamplerNetwork]
    objective: str
    spec: FeatureSpec
    fitted: Mapping[str, Fitted] = field(default_factory=dict)

    def averaged(self, name: str, networks: tuple[str, ...]) -> LearnedSampler:
        """The sampler `name` that averages networks (`base.Networks`). Raises `ValueError` where there
        are none.
        """
        if not self.networks:
            raise ValueError(f"sampler ({name!r}) needs a run or an exported file, and none is given")
        return LearnedSampler(name, self.objective, tuple(self.networks[n] for n in networks))

    def sampler(self, name: str, *, k: int) -> Sampler:
        """One of `registry.sampler_names`; k: how many clips f will see, which the cascade asks for."""
        return make_sampler(name, Setting(self, k, fitted=self.fitted))


NO_RUN = SamplerBundle({}, "", FeatureSpec())  # enough for samplers that have not been trained


def load_trained(
    source: str | Path | None, *, seed: int = 0, objective: str = "", device: str = "auto"
) -> SamplerBundle:
    """The samplers of a run or of an exported file.

    The run is given by its folder or its name under runs/. None: `NO_RUN`, those that need no training.

    seed, objective: which of a run's; by default those of its main rows. They lie on the `device` (see
    `devices.choose`). Raises `WorkspaceError` where the run has none, `CheckpointError` for a file that
    is none.
    """
    if source is None:
        return NO_RUN
    path, where = Path(source), devices.choose(device)
    if path.is_file() or path.suffix == ".safetensors":
        return _read(path, where)
    run = Run(resolve(source, "runs"))
    objective = objective or run.notes().get("objective", "")
    if not objective:
        trained = sorted(
            path.parents[1].name for path in run.folder.parent.glob("*/checkpoints/recipe.json")
        )
        others = f"; runs that have some: {', '.join(trained[:5])}" if trained else ""
        raise WorkspaceError(f"{run.folder}: no trained samplers here (scs run makes them){others}")
    folder = run.inside("checkpoints")
    for path in folder.glob("*"):
        run.inside("checkpoints", path.name)
    networks, read_as = {}, {}
    for name in NETWORK_INPUTS:
        path = sampler_checkpoint(folder, name, objective=objective, seed=seed)
        networks[name], about = load_sampler(path)
        networks[name].to(where)
        read_as = about["features"]
    return SamplerBundle(networks, objective, FeatureSpec(**read_as), load_fitted(folder, seed=seed))


def export(source: str | Path, path: str | Path, *, seed: int = 0) -> Path:
    """Write the samplers of a run into the one file `path`. Its name must end in .safetensors."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path ({path}) must end in .safetensors")
    trained = load_trained(source, seed=seed, device="cpu")
    networks: dict[str, dict] = {}
    weights: dict[str, torch.Tensor] = {}
    for name, network in trained.networks.items():
        networks[name] = network.settings | {"outputs": network.head.out_features}
        weights |= {f"{name}.{key}": value.contiguous() for key, value in network.state_dict().items()}
    fitted: dict[str, dict] = {}
    for name, learnt in trained.fitted.items():
        fitted[name] = {"version": learnt.version, "plain": learnt.plain}
        weights |= {
            f"{FITTED_KEY}{name}:{k}": torch.from_numpy(v.copy()) for k, v in learnt.arrays.items()
        }
    about = {"kind": BUNDLE, "format": FORMAT, "objective": trained.objective}
    about |= {"features": asdict(trained.spec), "networks": networks, "fitted": fitted}
    with replacing(path) as temporary:
        save_file(weights, temporary, {"scslib": json.dumps(about)})
    return path


def _read(path: Path, device: torch.device) -> SamplerBundle:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("scslib", "{}"))
            if about.get("kind") != BUNDLE or about.get("format") != FORMAT:
                raise CheckpointError(f"{path}: not a file of samplers (scs export makes them)")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if about["objective"] not in OBJECTIVES:
            raise ValueError(f"objective ({about['objective']!r}) must be one of {OBJECTIVES}")
        networks = {name: _network(name, about["networks"][name], weights) for name in NETWORK_INPUTS}
        networks = {name: network.to(device) for name, network in networks.items()}
        bounded(about["features"])
        fitted = {name: _fitted(name, own, weights) for name, own in about["fitted"].items()}
        return SamplerBundle(networks, about["objective"], FeatureSpec(**about["features"]), fitted)
    except (SafetensorError, json.JSONDecodeError, RuntimeError) as error:  # RecursionError is one
        raise CheckpointError(f"{path}: broken ({str(error).splitlines()[0]})") from error
    except CheckpointError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: its settings are incomplete or wrong ({error})") from error


def _fitted(name: str, about: dict, weights: Mapping[str, torch.Tensor]) -> Fitted:
    mine = f"{FITTED_KEY}{name}:"
    return as_fitted(
        about, {k[len(mine) :]: v.numpy() for k, v in weights.items() if k.startswith(mine)}
    )


def _network(name: str, settings: dict, weights: Mapping[str, torch.Tensor]) -> SamplerNetwork:
    """One network with its weights. It takes no memory before they fit, whatever width it claims."""
    with torch.device("meta"):
        network = SamplerNetwork(**settings | {"modalities": tuple(settings["modalities"])})
    own = {k.removeprefix(f"{name}."): v for k, v in weights.items() if k.startswith(f"{name}.")}
    network.load_state_dict(own, assign=True)
    return network.lay_out().eval()
