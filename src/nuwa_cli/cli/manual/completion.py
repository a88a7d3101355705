"""Completion for bash, zsh and fish: the scripts, and the answers to a shell that asks.

Typer's own machinery finds out what may come next (the option, the argument, the command); a script
calls `nuwa` with `_NUWA_COMPLETE=complete_SHELL` and the words so far in COMP_WORDS and COMP_CWORD,
and reads one answer a line:

    plain TAB value TAB help         file TAB suffixes         dir TAB

Files are completed by the shell itself, which knows quoting and `~`; only the suffixes come from here.
Nothing heavy is imported: an answer takes as long as `--help`.
"""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from nuwa_cli.cli.manual.completion_values import DIR, FILE, Values, values_of
from nuwa_cli.cli.manual.tree import walk
from nuwa_cli.cli.work.output import print_line

try:
    from typer._click import shell_completion as machinery
except ImportError:  # Typer before 0.26 used the package
    from click import shell_completion as machinery  # type: ignore[no-redef]

ASK = "_NUWA_COMPLETE"
"""The variable that makes a call an answer to a shell."""

_BASH = r"""_nuwa_completion() {
    local kind value name
    COMPREPLY=()
    while IFS=$'\t' read -r kind value _; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            dir)
                compopt -o filenames
                while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen -d -- "$2")
                ;;
            file)
                compopt -o filenames
                while IFS= read -r name; do
                    if [[ -z $value || -d $name || " $value " == *" ${name##*.} "* ]]; then
                        COMPREPLY+=("$name")
                    fi
                done < <(compgen -f -- "$2")
                ;;
        esac
    done < <(
        IFS=$'\n'
        COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _NUWA_COMPLETE=complete_bash \
            "$1" 2>/dev/null
    )
}
complete -o nosort -F _nuwa_completion nuwa
"""

_ZSH = r"""#compdef nuwa
_nuwa() {
    local line
    local -a parts plain
    local answers="$(
        COMP_WORDS="${(F)${(@Q)words}}" COMP_CWORD=$((CURRENT - 1)) _NUWA_COMPLETE=complete_zsh \
            ${(Q)words[1]} 2>/dev/null
    )"
    [[ $PREFIX == --*=* ]] && compset -P '*='
    for line in "${(@f)answers}"; do
        parts=("${(@ps:\t:)line}")
        case $parts[1] in
            plain) plain+=("${parts[2]//:/\\:}:$parts[3]") ;;
            dir) _files -/ ;;
            file)
                if [[ -z $parts[2] ]]; then
                    _files
                else
                    _files -g "*.(${parts[2]// /|})"
                fi
                ;;
        esac
    done
    (( $#plain )) && _describe -V nuwa plain
}
if [[ $funcstack[1] == _nuwa ]]; then
    _nuwa "$@"
else
    compdef _nuwa nuwa
fi
"""

_FISH = r"""function __nuwa_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l ask COMP_WORDS=(string join \n -- $words $current | string collect -N)
    set -l head (string match -r -- '^--[^=]*=' $current)
    set -l rest (string replace -r -- '^--[^=]*=' '' $current)
    for line in (env $ask COMP_CWORD=(count $words) _NUWA_COMPLETE=complete_fish $words[1] 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case plain
                printf '%s\t%s\n' "$head$parts[2]" "$parts[3]"
            case dir
                for name in (__fish_complete_directories "$rest" '')
                    echo "$head$name"
                end
            case file
                set -l pattern '/$|\.('(string replace -a ' ' '|' -- "$parts[2]")')$'
                test -n "$parts[2]"; or set pattern .
                for name in (__fish_complete_path "$rest" '')
                    string match -qr -- $pattern (string split -f1 \t -- $name)
                    and echo "$head$name"
                end
        end
    end
end
complete -c nuwa -f -k -a '(__nuwa_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def register(app: typer.Typer) -> None:
    """Add `nuwa completion` to the command line."""
    app.command("completion", short_help="Print the completion script of a shell.")(completion)


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")
    ],
) -> None:
    """nuwa completion bash

    Print the script that lets a shell complete commands, options, their values and files
    by suffix. To have it in every new shell:

    \b
    mkdir -p ~/.local/share/bash-completion/completions
    nuwa completion bash > ~/.local/share/bash-completion/completions/nuwa

    \b
    mkdir -p ~/.zfunc            and in ~/.zshrc, before compinit: fpath+=~/.zfunc
    nuwa completion zsh > ~/.zfunc/_nuwa

    \b
    mkdir -p ~/.config/fish/completions
    nuwa completion fish > ~/.config/fish/completions/nuwa.fish

    For this shell alone: source <(nuwa completion bash), or with zsh in its place.
    """
    print_line(SCRIPTS[shell].rstrip("\n"))


def prepare(command: Any) -> None:
    """Let Typer's machinery answer for a command tree: to be called where ASK is set."""
    for node in walk(command):
        context = typer.Context(node.command, **command.context_settings)
        for parameter in node.command.get_params(context):  # with --help, which is made here
            values = values_of(node.words, parameter)
            if values is not None:
                parameter._custom_shell_complete = _completer(values)
            # Values are not needed as Python values, and converting them loads pydantic.
            parameter.process_value = _as_typed
    for name, asking in (("bash", _BashAsks), ("zsh", _Asks), ("fish", _Asks)):
        machinery.add_completion_class(asking, name)


def _completer(values: Values) -> Callable[[Any, Any, str], list[Any]]:
    def complete(context: Any, _parameter: Any, incomplete: str) -> list[Any]:
        found = values(context.find_root().command) if callable(values) else values
        return [
            machinery.CompletionItem(value.text, type=value.kind, help=value.help)
            for value in found
            if value.kind in (FILE, DIR) or value.text.startswith(incomplete)
        ]

    return complete


def _as_typed(_context: Any, value: Any) -> Any:
    return value


class _Asks(machinery.ShellComplete):  # type: ignore[misc, unused-ignore]
    """A shell that sends its words without quotes, one a line."""

    name = "nuwa"
    source_template = ""  # scripts are printed by the command

    def source_vars(self) -> dict[str, Any]:
        return {}

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one under the cursor, without the program, and that one."""
        words = os.environ.get("COMP_WORDS", "").split("\n")
        try:
            at = int(os.environ.get("COMP_CWORD", ""))
        except ValueError:
            at = len(words) - 1
        current = words[at] if at < len(words) else ""
        return [self.clean(word) for word in words[1:at]], self.clean(current)

    def clean(self, word: str) -> str:
        """A word as the program would get it."""
        return word

    def format_completion(self, item: Any) -> str:
        help_line = " ".join((item.help or "").split())
        return f"{item.type}\t{item.value}\t{help_line}"


class _BashAsks(_Asks):
    """bash sends words as they were typed, and cuts `--name=value` in three."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, current = super().get_completion_args()
        words = [
            word
            for before, word in itertools.pairwise(("", *words))
            if not (word == "=" and before.startswith("--"))
        ]
        return words, "" if current == "=" else current

    def clean(self, word: str) -> str:
        """Without quotes and backslashes; a quote that is still open is left out."""
        for closed in (word, f"{word}'", f'{word}"', word.rstrip("\\")):
            try:
                return "".join(shlex.split(closed))
            except ValueError:
                continue
        return word
