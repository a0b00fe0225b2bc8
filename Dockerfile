# One image for the operator and the sidecar: `overspill operator`, `overspill sidecar`.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/runtime.lock requirements/
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
      --require-hashes --target /opt/overspill -r requirements/runtime.lock
COPY operator/overspill /opt/overspill/overspill
# Compiled here: the root file system is read-only where it runs, and a sidecar must start fast.
RUN python3 -m compileall -q -j 0 /opt/overspill || true

FROM python:3.11-slim
LABEL org.opencontainers.image.title="overspill" \
      org.opencontainers.image.description="Model-tier autoscaling for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/overspill /opt/overspill
COPY LICENSE /opt/overspill/
ENV PYTHONPATH=/opt/overspill PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["python3", "-m", "overspill"]
