"""WSGI entry point: ``granian --interface wsgi controlplane.wsgi:application``."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
_django = get_wsgi_application()

from lineage.api.wsgi import ingest_first  # noqa: E402  (needs Django to be set up)

application = ingest_first(_django)

# What is loaded by now stays for good. Without this the collector walks through all of it again and again while events are
# parsed, which costs more than parsing them.
gc.collect()
gc.freeze()
