"""`nuwa config`: which settings are in force, where they come from, and a first file of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from nuwa_cli.cli.settings.files import Loaded, Origin, settings_for
from nuwa_cli.cli.settings.layers import read_layers
from nuwa_cli.cli.settings.names import all_commands, is_on, nearest
from nuwa_cli.cli.settings.sources import PROJECT_NAME, Place, config_home, places, short_path
from nuwa_cli.cli.work.options import JsonFlag
from nuwa_cli.cli.work.output import Output, print_json, print_line
from nuwa_cli.errors import UsageError

CONFIG_SCHEMA = "nuwa.config/1"

config_app = typer.Typer(
    help="nuwa config show\n\nSettings from nuwa.toml, your own config file and NUWA_* variables.",
    no_args_is_help=True,
)

_EXAMPLE = """\
# Settings of nuwa. A key is an option without its dashes; what is given on the command line wins.
# Then NUWA_* variables, then nuwa.toml (or [tool.nuwa] of pyproject.toml) of the folder you are in
# or of one above it, then your own file, then the system's.  See: nuwa config show --origin

# seed = 7                 # for every command that has the option
# device = "cpu"
# max-memory = "2G"

# [t2v]                    # for one command
# frames = 16
# fps = 8

# [presets.draft]          # nuwa t2i "a dog" --preset draft -o dog.png
# best-of = 1
# temperature = 1.0

# [aliases]                # nuwa dog -o dog.png
# dog = "t2i 'a dog on the beach' -n 4"
"""


def register(app: typer.Typer) -> None:
    """Add `nuwa config …` to the command line."""
    app.add_typer(config_app, name="config", short_help="Show settings and where they come from.")


@config_app.command("show", short_help="Show the settings in force.")
def show(
    context: typer.Context,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="Only those of this command.")
    ] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each one comes from.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """nuwa config show --origin

    Show the settings in force here, one a line. With a command, show all options of that command
    with the values that they have when they are not given.

    \b
    nuwa config show t2v --origin
    NUWA_SEED=7 nuwa config show t2i --json
    """
    group = context.find_root().command
    commands = all_commands(group)
    path = " ".join(command or [])
    if path and path not in commands:
        raise UsageError(
            f"command '{path}': unknown{nearest(path, commands) or '; see: nuwa --help'}"
        )
    rows = _of_command(settings_for(group, path)) if path else _of_all(group, sorted(commands))
    without_files = is_on(os.environ.get("NUWA_NO_CONFIG"))
    layers = [] if without_files else read_layers(commands)
    aliases = {
        name: {"words": text, "origin": layer.place.label, "is_hidden": name in commands}
        for layer in reversed(layers)
        for name, text in layer.aliases.items()
    }
    presets = {name: layer.place.label for layer in reversed(layers) for name in layer.presets}
    if json:
        facts = {"command": path or None, "settings": rows, "presets": presets, "aliases": aliases}
        print_json({"schema": CONFIG_SCHEMA, **facts})
        return
    if not (rows or aliases or presets):
        note = "nothing is set here; nuwa config show t2v has the values of a command all the same"
        Output(as_json=False, quiet=False).note(note)
    for row in rows:
        print_line(_line(row, with_origin=origin))
    for name, alias in aliases.items() if not path else ():
        hidden = "  # hidden by the command of this name" if alias["is_hidden"] else ""
        where = f"  # {alias['origin']}" if origin and not hidden else hidden
        print_line(f"aliases.{name} = {_toml(alias['words'])}{where}")
    for name, label in presets.items() if not path else ():
        print_line(f"[presets.{name}]" + (f"  # {label}" if origin else ""))


@config_app.command("path", short_help="Show where settings are looked for.")
def path(json: JsonFlag = False) -> None:
    """nuwa config path

    Show the files that settings are read from, strongest first, and whether they are there.
    NUWA_NO_CONFIG=1 or nuwa --no-config leaves them all out.
    """
    found = places()
    if json:
        rows = [{"rank": p.rank, "path": p.label, "state": p.state, "why": p.why} for p in found]
        print_json({"schema": CONFIG_SCHEMA, "files": rows})
        return
    for place in found:
        print_line(_place_line(place))
    if not any(place.rank == "project" for place in found):
        print_line(f"project: no {PROJECT_NAME} here or above")


@config_app.command("init", short_help="Write a commented example.")
def init(
    project: Annotated[
        bool, typer.Option("--project", help=f"Write {PROJECT_NAME} here instead of your own file.")
    ] = False,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace an existing file.")] = False,
    json: JsonFlag = False,
) -> None:
    """nuwa config init

    Write a commented example to your own config file, or with --project to nuwa.toml in this
    folder. Everything in it is commented out, so nothing changes before you edit it.
    """
    from nuwa_cli.media.atomic import make_folder, write_bytes

    if project:
        target = Path(PROJECT_NAME)
    else:
        home = config_home()
        if home is None:
            raise UsageError("config 'user': there is no home folder; set XDG_CONFIG_HOME")
        target = home / "nuwa" / "config.toml"
        for folder in (home.parent, home, target.parent):
            make_folder(folder)
    write_bytes(target, _EXAMPLE.encode(), force=force)
    voice = Output(as_json=json, quiet=True)
    voice.result(target, {}, line=short_path(target))
    voice.finish("config init")


def _of_command(loaded: Loaded) -> list[dict[str, Any]]:
    """Every option that can have a setting, with the value that it has when it is not given."""
    rows = []
    for key, setting in loaded.settings.items():
        if key in loaded.values:
            rows.append(_row(key, loaded.values[key], loaded.origins[key]))
        elif not setting.is_of_one_run:
            rows.append(_row(key, setting.default, None))
    return rows


def _of_all(group: Any, commands: list[str]) -> list[dict[str, Any]]:
    """Settings that stand somewhere: once where all commands agree, else by command."""
    found: dict[str, dict[str, tuple[Any, Origin]]] = {}
    holders: dict[str, set[str]] = {}
    for command in commands:
        loaded = settings_for(group, command)
        for key, setting in loaded.settings.items():
            if not setting.is_of_one_run:
                holders.setdefault(key, set()).add(command)
        for key, value in loaded.values.items():
            found.setdefault(key, {})[command] = value, loaded.origins[key]
    rows = []
    for key, by_command in found.items():
        values = list(by_command.values())
        if set(by_command) == holders[key] and all(value == values[0] for value in values):
            rows.append(_row(key, *values[0]))
        else:
            common = max(values, key=values.count)
            is_common = set(by_command) == holders[key] and values.count(common) > 1
            rows += [_row(key, *common)] if is_common else []
            rows += [
                _row(f"{command.replace(' ', '.')}.{key}", *value)
                for command, value in by_command.items()
                if not (is_common and value == common)
            ]
    return rows


def _row(key: str, value: Any, origin: Origin | None) -> dict[str, Any]:
    shown = value if isinstance(value, (bool, list, type(None))) else str(value)
    source = "built-in" if origin is None else origin.source
    return {"key": key, "value": shown, "source": source, "from": origin and origin.label}


def _line(row: dict[str, Any], *, with_origin: bool) -> str:
    where = row["from"] or row["source"]
    if row["value"] is None:
        return f"# {row['key']} is not set"
    return f"{row['key']} = {_toml(row['value'])}" + (f"  # {where}" if with_origin else "")


def _toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    text = str(value)
    try:
        if str(int(text)) == text or str(float(text)) == text:
            return text if text not in ("nan", "inf", "-inf") else f'"{text}"'
    except ValueError:
        pass
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _place_line(place: Place) -> str:
    why = f" ({place.why})" if place.why else ""
    return f"{place.rank}: {place.label} {place.state}{why}"
