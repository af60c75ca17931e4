# The service as a container image: `make image` builds it, docs/docker.md tells how to run it.
#
# Which Python: pin it to what was tested by its digest (registries say it: `docker buildx imagetools inspect python:3.13-slim`), as in
# --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:… ; the workflows take it from the repository's variable PYTHON_IMAGE.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
# hash(): the order of sets in compiled files would be another one each time.
ENV PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/peopleinfo
WORKDIR /src
# What changes seldom comes first, in a layer of its own: a new version of the service is then a small one.
COPY requirements/run.lock requirements/
# Compiled once, here: the root is read-only where it runs. Unchecked, because nothing changes there; by hash, because times differ.
# Of AWS's services the client is asked for three; the descriptions of the other hundreds would be a sixth of the image.
RUN python -m pip --python /opt/peopleinfo/bin/python install --no-compile --require-hashes --only-binary :all: \
      --requirement requirements/run.lock \
 && find /opt/peopleinfo/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
      ! -name kms ! -name s3 ! -name sts -exec rm -r {} + \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/peopleinfo/lib
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m pip --python /opt/peopleinfo/bin/python install --no-compile --no-deps --no-build-isolation --prefix /opt/service . \
 && python -m pip --python /opt/peopleinfo/bin/python uninstall --yes flit_core \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/service/lib

FROM ${PYTHON_IMAGE}
# Whoever breaks in finds nothing to install with.
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
# With a read-only root these are what can be written: imports and exports of any length pass through files, and the audit waits in one until
# a second container has sent it away. Declared, a volume takes over whose the folder is (ECS).
VOLUME ["/audit", "/tmp"]
WORKDIR /data
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["python", "-m", "peopleinfo.http.healthcheck"]
# The kernel drops a signal to PID 1 that has no handler yet. A blocked one waits until the command handles it.
ENTRYPOINT ["env", "--block-signal=INT,TERM", "peopleinfo"]
CMD ["serve"]
ARG VERSION=0.0.0 REVISION=unknown
LABEL org.opencontainers.image.title="PeopleInfo" \
      org.opencontainers.image.description="Stores people and finds them again, over a small HTTP API." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
