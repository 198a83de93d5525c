# The build steps are the Makefile's.
FROM golang:1.26 AS build
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build VERSION=${VERSION} && install -d -o 65532 -g 65532 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/rung /rung
COPY --from=build --chown=65532:65532 /out/data /var/lib/rung
USER 65532:65532
EXPOSE 8080
VOLUME ["/var/lib/rung"]
ENTRYPOINT ["/rung"]
CMD ["serve"]
