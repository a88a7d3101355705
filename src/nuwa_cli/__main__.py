"""Entry of the `nuwa` command and of `python -m nuwa_cli`.

Imports nothing but the system module until it runs: even an interrupt while the program is still
starting ends with status 130 and no traceback.
"""

import sys


def main() -> None:
    """Run the command line and leave with its exit status."""
    try:
        from nuwa_cli.cli.app import run
        from nuwa_cli.cli.main_errors import can_run, leave

        leave(run(sys.argv[1:]) if can_run(sys.argv[1:]) else 5)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
