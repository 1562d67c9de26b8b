# kmsq's worker, and what sets it up: kmsq-worker, dbmate, migrations/. See docs/operations.md.
#
# BASE needs python3 (3.11 or later) with the module venv, and is the base of both stages: the virtual environment
# points at its interpreter. Pin it by digest for a reproducible image.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/build.txt requirements/worker.txt requirements/
RUN python3 -m venv /tmp/build \
 && /tmp/build/bin/pip install --quiet --no-deps --require-hashes -r requirements/build.txt \
 && python3 -m venv /opt/kmsq \
 && /opt/kmsq/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: -r requirements/worker.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas/kmsq_schemas schemas/kmsq_schemas
COPY client/kmsq client/kmsq
COPY worker/kmsq_worker worker/kmsq_worker
RUN /tmp/build/bin/python -m hatchling build --target wheel --directory /tmp/wheel \
 && /opt/kmsq/bin/pip install --quiet --no-deps /tmp/wheel/*.whl \
 && /opt/kmsq/bin/pip check \
 && /opt/kmsq/bin/pip uninstall --quiet --yes pip
COPY migrations /opt/kmsq/migrations
COPY deploy/make_secrets.py /opt/kmsq/deploy/
RUN chmod -R a+rX /opt/kmsq

FROM ${BASE}
RUN groupadd --gid 10001 kmsq \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin kmsq
COPY --from=build /opt/kmsq /opt/kmsq
ENV PATH=/opt/kmsq/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-IS", "-c", "\
import os, http.client; \
probe = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('KMSQ_HEALTH_PORT', '8080')), timeout=3); \
probe.request('GET', '/readyz'); \
raise SystemExit(probe.getresponse().status != 200)"]
ENTRYPOINT ["kmsq-worker"]
CMD ["run"]
