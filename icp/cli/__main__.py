"""``python -m icp.cli``: the commands without a script of their own."""

import sys

from icp.cli import main

sys.exit(main())
