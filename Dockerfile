# One image for every process of Touchstone: web, worker, relay, beat; docker-compose.yml says which command runs where.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --require-hashes --no-deps -r requirements.lock

FROM python:3.11-slim-bookworm
# 10001: a fixed number, so that volumes keep their owner when the base image changes.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin touchstone \
 && install -d -o touchstone -g touchstone /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY manage.py ./
COPY controlplane controlplane
COPY catalog catalog
COPY lineage lineage
COPY quality quality
COPY privacy privacy
COPY pipeline pipeline
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    DJANGO_SETTINGS_MODULE=controlplane.settings \
    TOUCHSTONE_HOME=/data \
    PROMETHEUS_MULTIPROC_DIR=/tmp
USER touchstone
VOLUME /data
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--no-ws", "--workers", "1", "--blocking-threads", "8", "--respawn-failed-workers", "controlplane.wsgi:application"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
