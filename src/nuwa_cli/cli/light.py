"""A command group that asks nothing of the heavy parts of the parser.

Typer turns option values into Python values with pydantic, which takes longer to import than all
the rest of `--help`. On the way to a subcommand the only value of a group is its own help flag,
absent: with False as its default it needs no conversion.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup, TyperOption


class LightGroup(TyperGroup):
    """A group whose absent help flag is False instead of nothing."""

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """The help option, with a default that needs no conversion."""
        option = super().get_help_option(ctx)
        if option is not None and option.default is None:
            option.default = False
        return option


def make_light(app: typer.Typer) -> None:
    """Use `LightGroup` for an application and all the groups in it."""
    app.info.cls = LightGroup
    for group in app.registered_groups:
        group.cls = LightGroup
        if group.typer_instance is not None:
            make_light(group.typer_instance)
