"""A kit of four small notebooks, which say in the file `log` what they do, for sweeps."""

from __future__ import annotations

from pathlib import Path

import nbformat

HEAD = """
from pathlib import Path
run = Path(run)
with open({log!r}, "a") as log:
    print(*said, file=log)
"""
NOTEBOOKS = {
    "00_before": ("k: int = 5  # as in 06", "said = '00', k", ""),
    "01_make": (
        'data: str = "d"  # folder\nmake_data: bool = True  # make it\nlength: int = 3  # of it',
        "said = '01', length",
        "Path(data).mkdir(parents=True)\n(Path(data) / 'videos.csv').write_text(str(length))",
    ),
    "03_learn": (
        'data: str = "d"  # folder\nclassifier_seed: int = 0  # of f\nworkers: int = 1  # processes',
        "said = '03', classifier_seed",
        "(run / 'checkpoints').mkdir(exist_ok=True)\n"
        "size = (Path(data) / 'videos.csv').read_text()\n"
        "(run / 'checkpoints' / 'f').write_text(size * 100 + str(classifier_seed))",
    ),
    "06_judge": (
        "k: int = 4  # clips\nseeds: list = [0]  # of samplers",
        "said = '06', k",
        "assert k != 13, 'thirteen'\n"
        "f = (run / 'checkpoints' / 'f').read_text()\n"
        "rows = [f'm,{s},{k},{k / 100 + s / 1000 + int(f[-1]) / 10}' for s in seeds]\n"
        "(run / 'results').mkdir(exist_ok=True)\n"
        "text = 'method,seed,k,accuracy\\n' + '\\n'.join(rows)\n"
        "(run / 'results' / 'methods.csv').write_text(text)",
    ),
}


def small_kit(root: Path) -> Path:
    """Write the kit into the folder `root`, and give it back."""
    (root / "notebooks" / "sweeps").mkdir(parents=True)
    for name, (parameters, said, body) in NOTEBOOKS.items():
        lines = 'run: str = "r"  # folder\n' + parameters
        cell = nbformat.v4.new_code_cell(lines, metadata={"tags": ["parameters"]})
        rest = nbformat.v4.new_code_cell(said + HEAD.format(log=str(root / "log")) + body)
        about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        notebook = nbformat.v4.new_notebook(cells=[cell, rest], metadata=about)
        nbformat.write(notebook, root / "notebooks" / f"{name}.ipynb")
    return root


def write_sweep(kit, text, name="q"):
    """A sweep with the smoke preset, which is empty here; returns its file."""
    (kit / "notebooks" / "presets").mkdir(exist_ok=True)
    (kit / "notebooks" / "presets" / "smoke.yaml").write_text("{}")
    path = kit / "notebooks" / "sweeps" / f"{name}.yaml"
    path.write_text(text)
    return str(path)
