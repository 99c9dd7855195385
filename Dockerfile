# One image for every service: docker run thalamus <service>. The layout is made by tools/image-layout.mjs, which the tests
# run too, so that what starts here has started there.
FROM node:24-bookworm-slim AS build
WORKDIR /src
ENV ONNXRUNTIME_NODE_INSTALL=skip
COPY . .
RUN npm ci --no-audit --no-fund && node tools/image-layout.mjs /image

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="thalamus" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
COPY --from=build --chown=0:0 /image /app
RUN install -d -o 10001 -g 10001 /data
WORKDIR /data
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/start.mjs"]
