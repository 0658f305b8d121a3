"""``manage.py apikey create|list|revoke``: keys of programs."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from controlplane.accounts import selectors, services
from controlplane.accounts.errors import AccountError
from controlplane.accounts.roles import Role


def duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+)([dh])", text)
    if match is None:
        raise argparse.ArgumentTypeError("write 90d or 12h")
    return timedelta(**{{"d": "days", "h": "hours"}[match[2]]: int(match[1])})


class Command(BaseCommand):
    help = "Create, list and revoke API keys. `create` prints the key, and nothing else, on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        create = sub.add_parser("create", help="make a key and print it once")
        create.add_argument("name")
        create.add_argument("--role", required=True, choices=Role.values)
        create.add_argument("--namespace", action="append", required=True, help="'*' any, 'shop-*' a prefix; may be repeated")
        create.add_argument("--expires-in", type=duration, help="90d, 12h; never when left out")
        sub.add_parser("list", help="all keys, without their secrets")
        revoke = sub.add_parser("revoke", help="refuse a key from now on")
        revoke.add_argument("name")
        revoke.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(**options)
        except AccountError as fault:
            raise CommandError(str(fault)) from fault

    def _create(self, *, name: str, role: str, namespace: list[str], expires_in: timedelta | None, **_: Any) -> None:
        expires_at = timezone.now() + expires_in if expires_in else None
        _key, secret = services.apikey_create(
            name=name, role=role, namespaces=namespace, actor="system:cli", expires_at=expires_at
        )
        self.stdout.write(secret)

    def _list(self, **_: Any) -> None:
        for key in selectors.apikeys():
            expired = key.expires_at is not None and key.expires_at <= timezone.now()
            state = "revoked" if key.revoked_at else "expired" if expired else "live"
            used = key.last_used_at.isoformat(timespec="minutes") if key.last_used_at else "never"
            self.stdout.write(
                f"{key.name}\tts_{key.prefix}_…\t{key.role}\t{','.join(key.namespaces)}\t{state}\tlast used {used}"
            )

    def _revoke(self, *, name: str, reason: str, **_: Any) -> None:
        key = services.apikey_revoke(name=name, actor="system:cli", reason=reason)
        self.stderr.write(f"{key.name} is refused since {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC")
