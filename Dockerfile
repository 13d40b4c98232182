# One image for the set-up, the gateway and the bookkeeper: they differ in their command alone.
# docs/operating.md says how to run it. The tag says which Python; to pin its bytes too, take the
# digest from `docker buildx imagetools inspect python:3.11.15-slim-bookworm` and build with
# --build-arg PYTHON_IMAGE=python:3.11.15-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
COPY requirements.lock /build/
# Wheels only: nothing is compiled, and no package runs code of its own while it is installed.
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --no-cache-dir \
    --disable-pip-version-check --only-binary=:all: --require-hashes --requirement /build/requirements.lock
COPY app.py gunicorn.conf.py LICENSE THIRD_PARTY_NOTICES.md /app/
COPY ai_gateway /app/ai_gateway
COPY migrations /app/migrations
COPY templates /app/templates
# Compiled here, since nobody can write there later; readable whatever the umask of the checkout.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash \
    /app/ai_gateway /app/migrations \
 && chmod -R a+rX,a-w /app

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="AI Gateway" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    AI_GATEWAY_DATA_DIR=/data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# The workers' files of metrics, and nothing else: what has to last is in the two stores.
RUN mkdir --mode=1777 /data
VOLUME /data
WORKDIR /app
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# By http.client: urllib would ask a proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "import http.client, os, sys; probe = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); probe.request('GET', '/health/live'); sys.exit(probe.getresponse().status != 200)"]
CMD ["sh", "-ec", ": ${DATABASE_URL:?is needed: a container brings no database} ${REDIS_URL:?is needed: a container brings no Valkey}; exec gunicorn -c gunicorn.conf.py app:app"]
