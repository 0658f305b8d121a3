"""What every domain of Touchstone stands on, and what puts the domains together."""

from controlplane.celery import app as celery_app

__all__ = ["celery_app"]
