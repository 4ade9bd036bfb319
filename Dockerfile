# syntax=docker/dockerfile:1
# The build stage installs everything, with hashes, into a virtual environment; the image has that and no tools.

FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/stam-adapter
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements-run.lock .
RUN /opt/stam-adapter/bin/python -m pip install --require-hashes --only-binary :all: -r requirements-run.lock
COPY pyproject.toml README.md ./
COPY config config
COPY cpa cpa
COPY adapter adapter
RUN /opt/stam-adapter/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/stam-adapter/bin/python -m pip uninstall --yes setuptools pip

FROM python:3.11-slim
RUN groupadd --system --gid 10001 stam-adapter \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/stam-adapter --shell /usr/sbin/nologin stam-adapter \
    && install --directory --owner=stam-adapter --group=stam-adapter --mode=0750 /var/lib/stam-adapter /etc/stam-adapter
COPY --from=build /opt/stam-adapter /opt/stam-adapter
ENV PATH=/opt/stam-adapter/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OPENSSL_CONF=/opt/stam-adapter/share/stam-adapter/openssl.cnf STAM_ADAPTER_HEALTH_URL=http://127.0.0.1:8080
USER stam-adapter
WORKDIR /var/lib/stam-adapter
VOLUME /var/lib/stam-adapter
EXPOSE 8443
STOPSIGNAL SIGTERM
# Live, not ready: a container that waits for a partner or a sink must not be restarted for it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["stam-adapter", "health", "--live"]
ENTRYPOINT ["stam-adapter"]
CMD ["run", "--config", "/etc/stam-adapter/stam-adapter.toml"]
