"""``manage.py admin create NAME``: the first administrator, without a dialogue."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from controlplane.accounts import services
from controlplane.accounts.errors import AccountError


class Command(BaseCommand):
    help = "Make an administrator. Prints the generated password, and nothing else, on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        create = sub.add_parser("create", help="make an administrator and print the password once")
        create.add_argument("name")
        create.add_argument("--email", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user, password = services.admin_create(username=options["name"], actor="system:cli", email=options["email"])
        except AccountError as fault:
            raise CommandError(str(fault)) from fault
        self.stderr.write(f"{user.username} may sign in with this password; it is not stored and not shown again:")
        self.stdout.write(password)
