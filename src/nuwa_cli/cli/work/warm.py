"""Models that stay loaded: a process that runs several jobs opens each model once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nuwa_cli.cli.work.options import ModelOptions

if TYPE_CHECKING:
    from nuwa_cli.api import NuwaPipeline

_MOST = 2  # models at the same time
_LOADED: dict[tuple[ModelOptions, str], NuwaPipeline] = {}


def load_pipeline(options: ModelOptions) -> NuwaPipeline:
    """The model of these options, from memory if it is there. A file that is refused is refused before
    the heavy libraries are loaded. Raises UsageError, InputError, EnvironmentFault."""
    key = _key(options)
    if key in _LOADED:
        _LOADED[key] = _LOADED.pop(key)  # the latest is last
        return _LOADED[key]

    from nuwa_cli.hub.preflight import check_model

    folder = check_model(options.model)

    import torch

    from nuwa_cli.api import NuwaPipeline

    # On the processor one thread draws. Waves are narrow, so a second one saves a tenth of the time of a quiet
    # machine; on a busy one two that wait for each other took two minutes instead of five seconds. And some
    # bfloat16 products round differently with another number: a file would depend on the machine's cores.
    torch.set_num_threads(1)
    pipeline = NuwaPipeline.load(
        folder, device=options.device, dtype=options.dtype, attention=options.attention
    )
    while len(_LOADED) >= _MOST:
        del _LOADED[next(iter(_LOADED))]
    _LOADED[key] = pipeline
    return pipeline


def is_warm(options: ModelOptions) -> bool:
    """Whether a model is loaded already. Raises as `load_pipeline` for one that is not there."""
    return _key(options) in _LOADED


def _key(options: ModelOptions) -> tuple[ModelOptions, str]:
    """The options and the digest of the files: a folder may have changed meanwhile."""
    from nuwa_cli.hub.catalog import find_model
    from nuwa_cli.hub.manifest import read_manifest

    return options, read_manifest(find_model(options.model)).digest
