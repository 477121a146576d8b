"""The Jupyter kernel of the notebooks: always this Python.

Jupyter looks for kernels by name, in JUPYTER_PATH, in the user's folders and in others; what it finds as
python3 may be another Python, without this package. A run does not look: it starts its own Python.
"""

from __future__ import annotations

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

DIED = ("Kernel died", "Kernel didn't respond")  # how the errors begin that nbclient raises then


class _OnlyThisPython(KernelSpecManager):
    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


class ThisPython(AsyncKernelManager):
    """A kernel manager for this process's Python, under any kernel name. It is papermill's
    `kernel_manager_class`.
    """

    @default("kernel_spec_manager")
    def _specs(self) -> KernelSpecManager:
        return _OnlyThisPython(parent=self)


def has_died(error: Exception) -> bool:
    """Tell whether an error of papermill says that the kernel is gone."""
    return isinstance(error, RuntimeError) and str(error).startswith(DIED)
