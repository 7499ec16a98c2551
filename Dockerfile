# The first stage installs the locked packages; the second has nothing but Python, Playhead and these. What the steps do
# stands in scripts/container, where the tests run it, too. docs/container.md says how to run the image.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml uv.lock ./
COPY scripts/container/build.sh scripts/container/
RUN scripts/container/build.sh packages /opt/playhead
COPY README.md LICENSE ./
COPY src/ src/
RUN scripts/container/build.sh playhead /opt/playhead

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="Playhead" \
      org.opencontainers.image.description="The playback-progress server: save a position on one device, resume on any other" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/playhead /opt/playhead
COPY scripts/container/entrypoint.sh /usr/local/bin/playhead
# A new volume takes owner and mode from here.
RUN install --directory --owner=1000 --group=1000 --mode=0700 /data
ENV PLAYHEAD_DATA=/data \
    PLAYHEAD_HOST=0.0.0.0 \
    PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8765
USER 1000:1000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m CMD ["playhead", "health"]
ENTRYPOINT ["playhead"]
CMD ["serve"]
