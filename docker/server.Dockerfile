# The hub. Needs BuildKit, which Docker Engine has since 18.09 and uses by itself since 23.

FROM rust:1-bookworm AS build
WORKDIR /source
COPY . .
# Both images are built by this same command: whichever comes second finds everything done in the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked -p pladmed -p pladmed-probe \
    && install -D target/release/pladmed /out/pladmed && mkdir /out/data

FROM debian:bookworm-slim
# Whom to trust: of MongoDB and Redis with TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/pladmed /usr/local/bin/pladmed
# For the embedded database, where it is used.
COPY --from=build --chown=10001:10001 /out/data /data
ENV DATA_DIR=/data HOST=0.0.0.0 PORT=5000
USER 10001:10001
WORKDIR /data
EXPOSE 5000
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["/usr/local/bin/pladmed", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/pladmed"]
CMD ["serve"]
