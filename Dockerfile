# esquirell for containers: a virtual environment from the lock file on a slim Python.
#   docker build -t esquirell .
#   docker buildx build --platform linux/amd64,linux/arm64 -t esquirell .
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/esquirell
RUN apt-get update -q && apt-get install -q -y --no-install-recommends binutils
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore 'uv>=0.9,<1'
WORKDIR /src

# The dependencies change less often than the code: a layer of their own.
COPY pyproject.toml uv.lock README.md LICENSE ./
ARG EXTRAS="--extra postgres --extra flower"
RUN uv sync --frozen --no-dev --no-editable --no-install-project ${EXTRAS}
COPY esquirell esquirell
RUN uv sync --frozen --no-dev --no-editable ${EXTRAS}

# What nobody reads at run time goes. Byte code is checked against nothing: the file system of the
# container is read-only, and an image of today has a date of today. The official image ships
# Python's own library without byte code; compiled at each start it would cost 16 MiB and seconds.
COPY docker/slim.sh ./
RUN sh slim.sh /opt/esquirell /opt/stdlib


FROM ${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="esquirell" \
      org.opencontainers.image.description="Tuya energy meters into a database and into Home Assistant" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# A folder that a volume is mounted on gives it its owner.
RUN groupadd --gid 1000 esquirell \
 && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /var/lib/esquirell \
            --shell /usr/sbin/nologin esquirell \
 && install -d -o esquirell -g esquirell -m 0700 /var/lib/esquirell \
 && install -d /etc/esquirell
COPY --from=build /opt/stdlib/ /
COPY --from=build /opt/esquirell /opt/esquirell
COPY docker/setup.py /opt/esquirell/setup.py

ENV PATH=/opt/esquirell/bin:$PATH \
    STATE_DIRECTORY=/var/lib/esquirell \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/esquirell
USER esquirell
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 CMD ["esquirell", "health"]
ENTRYPOINT ["esquirell"]
CMD ["run"]
