"""``python -m pybridge`` is ``pybridge``."""

import sys

from pybridge.cli import main

sys.exit(main())
