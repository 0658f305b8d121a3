"""WSGI entry point: ``granian --interface wsgi controlplane.wsgi:application``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
_django = get_wsgi_application()

from lineage.api.wsgi import ingest_first  # noqa: E402  (needs Django to be set up)

application = ingest_first(_django)
