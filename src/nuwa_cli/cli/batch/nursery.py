"""What every job needs: imported and made by the process that workers are forked from, once for all of them.

It draws nothing itself. When the batch ends it leaves at once: to take torch down is half a second.
"""

import atexit
import os

import nuwa_cli.api.engine
import nuwa_cli.cli.work.drawing  # noqa: F401
from nuwa_cli.cli.app import parser

parser()
atexit.register(os._exit, 0)
