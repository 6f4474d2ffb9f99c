# The facade in an image without a shell. Build it from a checkout:
#   docker build --build-arg COMMIT="$(git rev-parse --short=12 HEAD)" -t videoconf-facade .
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
ARG COMMIT=unknown
# The allocator notes when it was built.
ARG SOURCE_DATE_EPOCH=0
ENV VIDEOCONF_BUILD_COMMIT=$COMMIT \
    SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH
RUN RUSTFLAGS=$(deploy/rustflags) cargo build --locked --release --bin videoconf-facade && deploy/notices >notices

# With glibc and the authorities that the web trusts, and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="videoconf-facade" \
      org.opencontainers.image.description="A gRPC facade for Rocket.Chat's video conference API" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=build /src/target/release/videoconf-facade /usr/bin/videoconf-facade
COPY LICENSE LICENSE-APACHE LICENSE-MIT /usr/share/doc/videoconf-facade/
COPY --from=build /src/notices /usr/share/doc/videoconf-facade/
# Nothing is written, so that the root can be read-only.
USER 65532:65532
# All addresses of the container, which decides itself what is published.
ENV VIDEOCONF_LISTEN=0.0.0.0:50051
EXPOSE 50051
# With TLS: VIDEOCONF_SERVER=https://localhost:50051, and VIDEOCONF_TLS_CA for an authority of one's own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/bin/videoconf-facade", "health"]
ENTRYPOINT ["/usr/bin/videoconf-facade"]
CMD ["serve"]
