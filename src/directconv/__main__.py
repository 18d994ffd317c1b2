"""``python -m directconv`` is the ``directconv`` command."""

import sys

from directconv.cli import main

if __name__ == "__main__":
    sys.exit(main())
