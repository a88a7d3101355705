"""Commands and groups as we want them of the parser: light to ask for help, with plain usage lines.

Typer turns option values into Python values with pydantic, which takes longer to import than all
the rest of `--help`. On the way to a subcommand the only value of a group is its own help flag,
absent: with False as its default it needs no conversion. And it puts what must be given into braces,
which in a usage line mean a choice everywhere else.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


class PlainCommand(TyperCommand):
    """A command whose usage line shows what must be given as it is, `PROMPT...`, and whose arguments are told
    without Python's name for their type."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = _no_type  # type: ignore[method-assign]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words behind the name of the command."""
        return [
            piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)
        ]


def _no_type(ctx: Any) -> None:
    """Instead of `<list[str]>`."""


class LightGroup(TyperGroup):
    """A group whose absent help flag is False instead of nothing."""

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """The help option, with a default that needs no conversion."""
        option = super().get_help_option(ctx)
        if option is not None and option.default is None:
            option.default = False
        return option


def make_light(app: typer.Typer) -> None:
    """Use `LightGroup` for an application and all the groups in it, `PlainCommand` for their commands."""
    app.info.cls = LightGroup
    for command in app.registered_commands:
        command.cls = PlainCommand
    for group in app.registered_groups:
        group.cls = LightGroup
        if group.typer_instance is not None:
            make_light(group.typer_instance)
