# Three stages: the page is built where Node is, wheels where compilers may be needed; they are only
# installed where they run.
FROM node:20.19-bookworm-slim AS page
WORKDIR /src/client_examples/react
COPY client_examples/react ./
RUN npm ci --no-audit --no-fund && npm run build

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY server ./server
COPY --from=page /src/server/chatops/rest/assets/app ./server/chatops/rest/assets/app
RUN python -m pip wheel --no-cache-dir --wheel-dir /wheels -c constraints.txt .

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="chatops" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin chatops \
    && install -d -o chatops -g chatops /data
# The wheels are lent to this step, so they are in no layer of the image.
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir --no-index --find-links=/wheels chatops
USER chatops
WORKDIR /data
VOLUME /data
ENV CHATOPS_DATA_DIR=/data \
    CHATOPS_HOST=0.0.0.0 \
    CHATOPS_LOG_FORMAT=json \
    CHATOPS_PORT=8500 \
    PYTHONUNBUFFERED=1
EXPOSE 8500
# For `serve`. A container that runs `worker` listens nowhere: compose.yaml switches this off there.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"CHATOPS_PORT\"]}/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["chatops"]
CMD ["serve"]
