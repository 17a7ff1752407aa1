"""``python -m workbench`` is the command ``ppo-workbench``."""

import sys

from workbench.cli import main

sys.exit(main())
