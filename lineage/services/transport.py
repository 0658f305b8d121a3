"""How parts of Touchstone emit: the real OpenLineage client, with the outbox as its transport."""

from __future__ import annotations

from typing import Any

from openlineage.client.serde import Serde
from openlineage.client.transport import Config, Transport

from controlplane.outbox import services as outbox

__all__ = ["TOPIC", "OutboxTransport"]

TOPIC = "openlineage"


class OutboxTransport(Transport):
    """Events leave with the caller's transaction: they are stored if and only if it commits.

    >>> client = OpenLineageClient(transport=OutboxTransport(producer="pipeline"))
    >>> with transaction.atomic():
    ...     client.emit(event)

    Raises ``outbox.errors.NotInTransaction`` outside a transaction. To other servers it goes as every accepted event does
    (``services.forwarding``).
    """

    kind = "outbox"
    config_class = Config

    def __init__(self, config: Config | None = None, *, producer: str = "touchstone") -> None:
        self.producer = producer

    def emit(self, event: Any) -> None:
        payload = {"event": Serde.to_dict(event), "producer": self.producer}
        outbox.publish(topic=TOPIC, payload=payload)
