"""What can go wrong with people and keys; each message is fit to be shown."""


class AccountError(Exception):
    """The change was refused and nothing was saved."""


class NameTaken(AccountError):
    """A user or a key of this name exists."""


class Unknown(AccountError):
    """No user or key of this name."""


class Invalid(AccountError):
    """A value is not acceptable; the message says which and why."""
