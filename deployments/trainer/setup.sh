#!/usr/bin/env bash
# Makes a plain Amazon Linux 2023 or Ubuntu machine one that runs flows: the pinned wheel in a
# virtual environment. A baked image has run this already, and then it ends at once.
#
#   setup.sh s3://CODE_BUCKET/trainer/RELEASE
#
# The machine's role must be allowed to read below that address.
set -euo pipefail

release="${1:?name the release, as in s3://BUCKET/trainer/RELEASE}"
home="${EXEMPLAR_TRAINER_HOME:-/opt/exemplar}"
done="$home/installed"

if [ "$(cat "$done" 2>/dev/null)" = "$release" ]; then
    exit 0
fi

if command -v dnf >/dev/null; then
    dnf install --quiet --assumeyes python3.11 awscli-2
    python=python3.11
else
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq -y python3-venv python3-pip
    python=python3
    if ! command -v aws >/dev/null; then
        "$python" -m venv "$home/aws" && "$home/aws/bin/pip" install --quiet awscli
        export PATH="$home/aws/bin:$PATH"
    fi
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "Python 3.11 or later is needed; choose a newer image" >&2; exit 1; }

mkdir -p "$home/release"
cd "$home/release"
aws s3 cp --only-show-errors "$release/SHA256SUMS" .
echo "${release##*/}  SHA256SUMS" | sha256sum --check --quiet
while read -r _ name; do
    aws s3 cp --only-show-errors "$release/$name" .
done <SHA256SUMS
sha256sum --check --quiet SHA256SUMS
"$python" -m venv "$home/venv"
"$home/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$home/release/constraints.txt" "$home"/release/exemplar-*.whl

# Prefect's deployments name flows relative to this folder.
site="$("$home/venv/bin/python" -c 'import flows, pathlib; print(pathlib.Path(flows.__file__).parents[1])')"
ln -sfn "$site" "$home/source"
"$home/venv/bin/python" -c 'import flows.train'
echo "$release" >"$done"
