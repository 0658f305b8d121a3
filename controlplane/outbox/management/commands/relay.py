"""``manage.py relay``: delivers the outbox and runs the tickers until it is told to stop."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from controlplane.outbox.relay import RelayProcess


class Command(BaseCommand):
    help = "Deliver the outbox, seal the audit log and run the other tickers. Several may run; SIGTERM stops cleanly."

    def handle(self, *args: Any, **options: Any) -> None:
        relay = RelayProcess()
        signal.signal(signal.SIGTERM, relay.stop)
        signal.signal(signal.SIGINT, relay.stop)
        relay.run()
