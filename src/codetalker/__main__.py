"""`python -m codetalker` is the `codetalker` command."""

import sys

from codetalker.cli import main

sys.exit(main())
