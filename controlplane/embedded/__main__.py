"""``python -m controlplane.embedded``: see the package's docstring."""

import sys

from controlplane.embedded.cli import main

if __name__ == "__main__":
    sys.exit(main())
