"""People and keys."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person who signs in. Holds personal data: user name, name, e-mail."""
