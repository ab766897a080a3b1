# The probe, with what it measures with. Needs BuildKit, which Docker Engine has since 18.09 and uses by itself since 23.

FROM rust:1-bookworm AS build
WORKDIR /source
COPY . .
# Both images are built by this same command: whichever comes second finds everything done in the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked -p pladmed -p pladmed-probe \
    && install -D target/release/pladmed-probe /out/pladmed-probe && mkdir /out/data

FROM debian:bookworm-slim
# iproute2 is for the limits. scamper gets its rights from the agent, and not all those of root by its setuid bit; it wants
# an empty folder.
RUN apt-get update \
    && apt-get install -y --no-install-recommends scamper bind9-dnsutils iproute2 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && chmod u-s /usr/bin/scamper \
    && mkdir -p /var/empty
COPY --from=build /out/pladmed-probe /usr/local/bin/pladmed-probe
COPY --from=build --chown=10001:10001 /out/data /data
COPY docker/probe/start /usr/local/bin/start
RUN chmod 755 /usr/local/bin/start
ENV PLADMED_DATA=/data
WORKDIR /data
# Root until the limits are set; the agent is 10001. It has no health check: one that cannot work ends.
ENTRYPOINT ["/usr/local/bin/start"]
CMD ["run"]
