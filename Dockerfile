# Two stages: wheels are built where compilers may be needed, and only installed where they run.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY server ./server
RUN python -m pip wheel --no-cache-dir --wheel-dir /wheels -c constraints.txt .

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="chatops" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin chatops \
    && install -d -o chatops -g chatops /data
COPY --from=build /wheels /wheels
RUN python -m pip install --no-cache-dir --no-index --find-links=/wheels chatops \
    && rm -rf /wheels
USER chatops
WORKDIR /data
VOLUME /data
ENV CHATOPS_DATA_DIR=/data \
    CHATOPS_HOST=0.0.0.0 \
    CHATOPS_LOG_FORMAT=json \
    PYTHONUNBUFFERED=1
EXPOSE 8500
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8500/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["chatops"]
CMD ["serve"]
