"""Every error that `nuwa` raises on purpose, and the exit status each one means.

    NuwaError
    ├── UsageError           2   an option or argument is wrong; nothing was loaded
    ├── InputError           3   an input or model file was refused
    ├── OutputError          4   the output cannot be written
    ├── EnvironmentFault     5   memory, device, network or lock: not now, not here
    ├── BatchError           6   a batch ended with failed jobs
    └── MismatchError        7   `replay --check` or `verify` found a difference

A message reads `<what> '<given>': <why>; <what to do>` and fits one line.
"""


class NuwaError(Exception):
    """Base of the tree; `exit_code` is the status of the process that ends with it."""

    exit_code = 1


class UsageError(NuwaError):
    """An option or argument cannot be used as given."""

    exit_code = 2


class InputError(NuwaError):
    """An input or model file was refused."""

    exit_code = 3


class OutputError(NuwaError):
    """The output cannot be written where it was asked for."""

    exit_code = 4


class EnvironmentFault(NuwaError):
    """The machine cannot do it now: memory, device, network, lock."""

    exit_code = 5


class BatchError(NuwaError):
    """A batch finished, but some of its jobs failed."""

    exit_code = 6


class MismatchError(NuwaError):
    """A verification found a difference."""

    exit_code = 7
