"""Which command of which script made a file: the scripts are the only place where commands stand.

A command is one line of a script that begins with `nuwa`. It is shown as a user in `examples/`
would type it: without `--update "$@"`, and with `$here` replaced by the folder of the script.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nuwa_cli.media.naming import numbered

_EXTRA = ' --update "$@"'
_HERE = re.compile(r'"\$here/([^"]+)"')


@dataclass(frozen=True)
class Command:
    """One command of a script: its `text` as shown, its `words`."""

    text: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """Which command of `nuwa` it is."""
        return self.words[1]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files that it writes."""
        path = Path(self.values("-o")[0])
        count = int((self.values("-n") or ("1",))[0])
        if count == 1:
            return (str(path),)
        return tuple(str(numbered(path, index)) for index in range(count))

    def values(self, option: str) -> tuple[str, ...]:
        """What is given for an option, each time it is given."""
        pairs = zip(self.words, self.words[1:], strict=False)
        return tuple(value for word, value in pairs if word == option)


def read_script(path: Path, root: Path) -> Iterator[Command]:
    """The commands of one script below the folder `root`."""
    folder = path.parent.relative_to(root)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("nuwa "):
            text = _HERE.sub(lambda match: str(folder / match[1]), line.removesuffix(_EXTRA))
            yield Command(text, tuple(shlex.split(text)))


def read_scripts(root: Path) -> dict[str, Command]:
    """Every file that the scripts of `root` write, and the command that does."""
    makers: dict[str, Command] = {}
    for path in sorted((*root.glob("*.sh"), *root.glob("classic-desktop/*.sh"))):
        for command in read_script(path, root):
            makers.update(dict.fromkeys(command.outputs, command))
    return makers
