"""Options of every command that reads many videos: engine, limits, device."""

from __future__ import annotations

import functools

import click

DEVICE = click.option(
    "--device", default="auto", show_default=True, help="Where networks run: cpu, cuda, cuda:1, mps."
)
ENGINE_OPTIONS = (
    click.option("--engine", default="local", show_default=True, help="local: processes; or ray."),
    click.option("--address", default="", help="Of a Ray cluster; else one on this machine."),
    click.option(
        "--connect-timeout", default=180.0, show_default=True, help="Seconds for Ray to start or answer."
    ),
    click.option("--timeout", default=3600.0, show_default=True, help="Seconds for one video."),
    click.option("--memory", default=8.0, show_default=True, help="Gigabytes for one process."),
    click.option("--retry", is_flag=True, help="Try videos again that failed in an earlier run."),
)


def engine_options(command):
    """Add the engine's options to a command. They set the current engine before it begins."""

    @functools.wraps(command)
    def wrapped(
        engine: str,
        address: str,
        connect_timeout: float,
        timeout: float,
        memory: float,
        retry: bool,
        **options,
    ):
        from scslib.jobs.child import Limits
        from scslib.jobs.engines import Engine

        Engine(engine, address, Limits(timeout, memory), retry, connect_timeout).use()
        return command(**options)

    for option in reversed(ENGINE_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
