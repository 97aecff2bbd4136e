# The service in a small image: no training library, no compiler, no shell user. Bundles are mounted, not built in:
#   docker build -t tunewright .
#   docker run --read-only --tmpfs /tmp -p 8080:8080 -v "$PWD/intents:/bundles/intents:ro" \
#       -v "$PWD/keys.txt:/run/secrets/keys:ro" -e TUNEWRIGHT_KEYS_FILE=/run/secrets/keys tunewright /bundles/intents
# docs/deploy.md says how to lay out the keys file for the user 10001.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /source
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# For the native code that computes int8 bundles; the image itself has no compiler.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml constraints.txt hatch_build.py README.md LICENSE NOTICE ./
# The dependencies first: a change of the sources does not install them anew.
RUN python -m venv /opt/tunewright \
    && python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['serve'], sep='\n')" > /tmp/needed.txt \
    && /opt/tunewright/bin/pip install -c constraints.txt -r /tmp/needed.txt
COPY src src
RUN /opt/tunewright/bin/pip install -c constraints.txt --no-deps . \
    && /opt/tunewright/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="Tunewright" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tunewright /opt/tunewright
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tunewright
ENV PATH=/opt/tunewright/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as ask; ask.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
# The container is reached from outside: it does not start without keys, unless --no-keys says that a proxy asks.
ENTRYPOINT ["tunewright", "serve", "--host", "0.0.0.0", "--port", "8080"]
