#!/usr/bin/env bash
# The kernels' tests on an emulated 64-bit ARM: bash tests/arm64.sh [FOLDER [PYTEST ARGUMENTS...]]
#
# For a Debian machine of another kind, as root: takes Debian's Python for arm64 and NumPy's and Numba's wheels into
# FOLDER (build/arm64), and runs them by qemu-user. ARM_CPU names the processor: max, neoverse-n1, cortex-a72 ...
# Emulation compiles some twenty times slower; the few tests that run by default take a quarter of an hour.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-build/arm64}
shift || true
[ $# -gt 0 ] || set -- tests/test_tutorial.py tests/test_simd.py
mkdir -p "$folder/wheels" "$folder/packages"
folder=$(cd "$folder" && pwd)

if [ ! -e "$folder/root/usr/bin/python3.11" ]; then
  command -v qemu-aarch64-static > /dev/null || apt-get install -qy qemu-user-static
  dpkg --print-foreign-architectures | grep -q arm64 || { dpkg --add-architecture arm64 && apt-get update -q; }
  packages=(libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libffi8 libbz2-1.0 liblzma5 libssl3 libsqlite3-0 libuuid1
    libpython3.11-minimal libpython3.11-stdlib python3.11-minimal python3.11)
  (cd "$folder/packages" && apt-get download -q "${packages[@]/%/:arm64}")
  for package in "$folder"/packages/*.deb; do dpkg -x "$package" "$folder/root"; done
  python3 -m pip download -q --only-binary=:all: --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 \
    --platform manylinux_2_27_aarch64 --python-version 3.11 -d "$folder/wheels" \
    "numba>=0.61,<0.69" numpy pytest hypothesis platformdirs threadpoolctl pytest-benchmark
  for wheel in "$folder"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$folder/site"; done
fi

export PYTHONPATH="$PWD:$folder/site" NUMBA_CACHE_DIR="$folder/kernels" PYTHONHOME="$folder/root/usr"
exec qemu-aarch64-static -cpu "${ARM_CPU:-max}" -L "$folder/root" "$folder/root/usr/bin/python3.11" -m pytest -q "$@"
