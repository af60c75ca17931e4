# The container image of the service: `make image` builds it, docs/docker.md explains how to run it.
#
# Pin the base image by digest (`docker buildx imagetools inspect python:3.13-slim` prints it):
# --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:… ; the workflows read the repository variable PYTHON_IMAGE.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
# A fixed hash seed makes compiled files reproducible: it fixes the order of sets.
ENV PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/peopleinfo
WORKDIR /src
# Dependencies change rarely and have a separate layer, so a new version of the service adds a small one.
COPY requirements/run.lock requirements/
# Bytecode is compiled here because the root filesystem is read-only at run time. Hash-based pycs are reproducible; unchecked ones skip a stat.
# botocore needs the data of three AWS services only; the data of the others would be a sixth of the image.
# The service parses phone numbers only: the names of places and carriers, and time zones, would be a quarter of the image.
RUN python -m pip --python /opt/peopleinfo/bin/python install --no-compile --require-hashes --only-binary :all: \
      --requirement requirements/run.lock \
 && find /opt/peopleinfo/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
      ! -name kms ! -name s3 ! -name sts -exec rm -r {} + \
 && rm -r /opt/peopleinfo/lib/python3*/site-packages/phonenumbers/geodata \
      /opt/peopleinfo/lib/python3*/site-packages/phonenumbers/carrierdata \
      /opt/peopleinfo/lib/python3*/site-packages/phonenumbers/tzdata \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/peopleinfo/lib
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m pip --python /opt/peopleinfo/bin/python install --no-compile --no-deps --no-build-isolation --prefix /opt/service . \
 && python -m pip --python /opt/peopleinfo/bin/python uninstall --yes flit_core \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/service/lib

FROM ${PYTHON_IMAGE}
# An attacker finds no package installer.
RUN find /usr -depth \( -path '*-packages/pip*' -o -path '*-packages/setuptools*' -o -path '*-packages/wheel*' \
      -o -path '*/ensurepip*' -o -path '*/bin/pip*' \) -delete \
 && install --directory --owner 10001 --group 10001 --mode 0700 /audit /data
COPY --from=build /opt/peopleinfo /opt/peopleinfo
COPY --from=build /opt/service /opt/peopleinfo
ENV PATH=/opt/peopleinfo/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PEOPLEINFO_HOST=0.0.0.0 \
    PEOPLEINFO_STORE_URL=sqlite:////data/people.db
# Writable directories on a read-only root: imports and exports use temporary files, and a second container reads the audit log. A declared
# volume keeps the owner of the directory (ECS).
VOLUME ["/audit", "/tmp"]
WORKDIR /data
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["python", "-m", "peopleinfo.http.healthcheck"]
# The kernel discards a signal to PID 1 that has no handler. A blocked signal stays pending until the command handles it.
ENTRYPOINT ["env", "--block-signal=INT,TERM", "peopleinfo"]
CMD ["serve"]
ARG VERSION=0.0.0 REVISION=unknown
LABEL org.opencontainers.image.title="PeopleInfo" \
      org.opencontainers.image.description="Stores people and finds them again, over a small HTTP API." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
