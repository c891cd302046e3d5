# The server's image: one binary on Debian slim, run by nobody in particular.
#
#   docker build -t rowcast .
#   docker run --stop-timeout 15 -p 3001:3001 -e DATABASE_URL=postgres://... -e ROWCAST_AUTH=none rowcast
#
# With a Postgres beside it: ops/compose.yaml. Configured by variables (.env.example lists them), so that the health check sees the same ones.
# HOST is 0.0.0.0 here, and a server that other machines reach starts only when ROWCAST_AUTH is said.
# There is no Postgres inside: DATABASE_URL is needed. The dashboard is inside: ROWCAST_DEMO=on serves it.
# The stop timeout must be longer than ROWCAST_DRAIN (10 s), else Docker's SIGKILL cuts the drain short.

ARG RUST=1.95
ARG NODE=24
ARG DEBIAN=trixie

FROM node:${NODE}-${DEBIAN}-slim AS demo
WORKDIR /build

# The lock file is that of all packages of the workspace, so npm wants to see each of them.
COPY package.json package-lock.json ./
COPY client/package.json client/
COPY demo/package.json demo/
COPY inspector/package.json inspector/
COPY tests/interop/package.json tests/interop/
RUN npm ci --no-audit --no-fund --workspace client --workspace demo --workspace inspector

COPY client client
COPY demo demo
COPY inspector inspector
RUN npm run build --workspace client \
    && npm run build --workspace demo \
    && npm run build --workspace inspector


FROM rust:${RUST}-slim-${DEBIAN} AS build
WORKDIR /build

# The dependencies, as a layer of their own: built from the manifests with empty targets, it is
# made again only when those change. The paths are the targets that Cargo.toml names.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it bench \
    && touch src/lib.rs \
    && for main in src tests/it bench; do echo 'fn main() {}' > $main/main.rs; done \
    && cargo build --profile image --locked \
    # Cargo compares times, and the sources may be older than this layer.
    && rm -r src target/image/.fingerprint/rowcast-*

COPY . .
COPY --from=demo /build/demo/dist demo/dist
COPY --from=demo /build/inspector/dist inspector/dist
RUN cargo build --profile image --locked --bin rowcast


FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="rowcast" \
      org.opencontainers.image.description="Turns rows in Postgres into Socket.IO room events" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

# The roots that sslmode=verify-full needs; the slim image has none.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /build/LICENSE-* /usr/share/doc/rowcast/
COPY --from=build /build/target/image/rowcast /usr/local/bin/

# A number, so that Kubernetes' runAsNonRoot can tell. The root folder holds no .env.
USER 65532:65532
WORKDIR /
ENV HOST=0.0.0.0
EXPOSE 3001

STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["rowcast", "healthcheck"]
ENTRYPOINT ["rowcast"]
CMD ["serve"]
