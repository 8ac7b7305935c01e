# Shell functions that make the environments of quick_start.sh, run_tests.sh and run_long_tests.sh.
# Sourced, not run.
#
# Every step says what it does, leaves a stamp in the environment and is skipped while the stamp
# fits, so that a second call takes seconds. Settings:
#   PYTHON      the interpreter to make environments with (python3.11 by default)
#   MSSDF_VENV  the environment (.venv in the repository by default)

CONSTRAINTS=requirements/constraints.txt
[ -f "$CONSTRAINTS" ] || {
    echo "found no $CONSTRAINTS in $PWD: this script belongs to a checkout of the repository" >&2
    exit 1
}

say() { printf '%s [%4ss] %s\n' '==' "$SECONDS" "$*"; }

die() {
    printf '== error: %s\n' "$*" >&2
    exit 1
}

# The version that constraints.txt pins for the package $1.
pinned() { sed -n "s/^$1==//p" "$CONSTRAINTS"; }

find_python() {
    local python=${PYTHON:-}
    if [ -z "$python" ]; then
        for python in python3.11 python3 python; do
            command -v "$python" >/dev/null && supported "$python" && break
            python=
        done
    fi
    [ -n "$python" ] ||
        die "found no Python 3.11 or newer; install one, or name it: PYTHON=/path/to/python $0"
    command -v "$python" >/dev/null || die "PYTHON=$python: no such program"
    supported "$python" ||
        die "PYTHON=$python is $("$python" --version 2>&1); expected Python 3.11 or newer"
    printf '%s' "$python"
}

supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# make_venv DIR: an empty environment.
make_venv() {
    local dir=$1 python
    if [ -x "$dir/bin/python" ]; then
        say "$dir: reusing the environment that is there"
        return
    fi
    python=$(find_python) || exit 1
    say "$dir: making an environment with $("$python" --version 2>&1)"
    "$python" -m venv "$dir" || die "could not make $dir; on Debian and Ubuntu install python3-venv"
}

# step DIR NAME INPUTS WHAT COMMAND...: run COMMAND, unless it has run in DIR with the same INPUTS,
# a text.
step() {
    local dir=$1 name=$2 inputs=$3 what=$4 stamp
    shift 4
    stamp=$dir/.mssdf-$name
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$inputs" ]; then
        say "$dir: $name is there"
        return
    fi
    say "$dir: $what"
    "$@" || die "$dir: $name could not be installed (see the lines above)"
    printf '%s' "$inputs" >"$stamp"
}

# hash_of FILE...: one hash of the files' contents.
hash_of() { cat "$@" | cksum | tr ' ' '-'; }

# pip_install DIR ARGUMENTS...: with the pinned versions.
pip_install() {
    local dir=$1
    shift
    "$dir/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --constraint "$CONSTRAINTS" "$@"
}

install_torch() {
    step "$1" torch "$(pinned torch) $(pinned torchvision)" \
        "installing torch $(pinned torch) and torchvision (some 3 GB to download: minutes)" \
        pip_install "$1" torch torchvision numpy setuptools wheel
}

# share_torch FROM DIR: the torch of the environment FROM, whose 5 GB are then on the disk once.
share_torch() {
    step "$2" torch "$(pinned torch) $(pinned torchvision)" \
        "linking torch $(pinned torch) and torchvision from $1" \
        "$1/bin/python" scripts/_link_packages.py "$2/bin/python" \
        torch torchvision numpy setuptools wheel
}

# has_ops DIR: whether mmcv's compiled ops are there and load.
has_ops() { "$1/bin/python" -c 'import mmcv.ops' >/dev/null 2>&1; }

# mmcv_wheel DIR FOLDER: the wheel with compiled ops in FOLDER that fits DIR's Python, if there is
# one.
mmcv_wheel() {
    local tag machine name
    tag=$("$1/bin/python" -c 'import sys; print("cp{0}{1}".format(*sys.version_info))')
    machine=$(uname -sm | tr 'A-Z ' 'a-z_')
    name=onedl_mmcv-$(pinned onedl-mmcv)-$tag-$tag-$machine.whl
    find "$2" -maxdepth 1 -name "$name" 2>/dev/null | head -n 1
}

# install_mmcv_without_ops DIR: isolated, the build sees no torch and compiles nothing.
install_mmcv_without_ops() {
    step "$1" mmcv "plain $(pinned onedl-mmcv)" \
        "installing mmcv $(pinned onedl-mmcv) without compiled ops" \
        pip_install "$1" --no-cache-dir --no-binary onedl-mmcv onedl-mmcv
}

# install_mmcv_wheel DIR WHEEL: and see that it works with this torch.
install_mmcv_wheel() {
    pip_install "$1" "$2" && pip_install "$1" --force-reinstall --no-deps "$2" || return
    relax_opencv "$1"
    has_ops "$1"
}

# install_prebuilt_mmcv DIR: from a wheel with compiled ops that lies about; false if none works.
install_prebuilt_mmcv() {
    local dir=$1 folder wheel
    # .wheels: compiled here before. ../shared/wheels: where developers and CI keep one.
    for folder in ".wheels/torch-$(pinned torch)" ../shared/wheels; do
        wheel=$(mmcv_wheel "$dir" "$folder")
        [ -n "$wheel" ] || continue
        say "$dir: installing mmcv with compiled ops from $wheel"
        if install_mmcv_wheel "$dir" "$wheel"; then
            printf 'ops %s' "$(pinned onedl-mmcv)" >"$dir/.mssdf-mmcv"
            return 0
        fi
        say "$dir: $wheel does not work here, going on without it"
    done
    return 1
}

# install_mmcv_with_ops DIR: reuse, else a wheel that lies about, else compile and keep the wheel.
install_mmcv_with_ops() {
    local dir=$1 wheels log wheel
    if [ "$(cat "$dir/.mssdf-mmcv" 2>/dev/null)" = "ops $(pinned onedl-mmcv)" ] &&
        has_ops "$dir"; then
        say "$dir: mmcv with compiled ops is there"
        return
    fi
    install_prebuilt_mmcv "$dir" && return
    command -v c++ >/dev/null || command -v g++ >/dev/null ||
        die "compiling mmcv's ops needs a C++ compiler; found neither c++ nor g++"
    wheels=.wheels/torch-$(pinned torch)
    log=$wheels/build.log
    mkdir -p "$wheels"
    say "$dir: compiling mmcv $(pinned onedl-mmcv) with its ops, once:" \
        "about 20 minutes on two cores (log: $log)"
    pip_install "$dir" ninja || die "ninja could not be installed"
    compile_mmcv "$dir" "$wheels" >"$log" 2>&1 &
    if ! wait_aloud $! 'compiling'; then
        tail -n 30 "$log" >&2
        die "mmcv did not compile; the whole log is in $log"
    fi
    wheel=$(mmcv_wheel "$dir" "$wheels")
    [ -n "$wheel" ] || die "mmcv's build left no wheel in $wheels; see $log"
    install_mmcv_wheel "$dir" "$wheel" ||
        die "the mmcv that was compiled has no working ops; see $log"
    printf 'ops %s' "$(pinned onedl-mmcv)" >"$dir/.mssdf-mmcv"
}

# compile_mmcv DIR WHEELS: --no-build-isolation, or the build sees no torch; --no-cache-dir, or pip
# may hand back a wheel without ops. CUDA ops only where both a compiler and a device for them are
# there.
compile_mmcv() {
    local dir=$1 python find_device='import sys, torch; sys.exit(not torch.cuda.is_available())'
    python=$(cd "$dir/bin" && pwd)/python
    export PATH=${python%/*}:$PATH MMCV_WITH_OPS=1
    if ! command -v nvcc >/dev/null || ! "$python" -c "$find_device"; then
        export FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=
    fi
    "$python" -m pip wheel --no-input --disable-pip-version-check --verbose --no-deps \
        --no-build-isolation --no-cache-dir --no-binary onedl-mmcv --wheel-dir "$2" \
        "onedl-mmcv==$(pinned onedl-mmcv)"
}

# wait_aloud PID WHAT: wait for a process of this shell, saying so once a minute.
wait_aloud() {
    local waited=0
    while kill -0 "$1" 2>/dev/null; do
        sleep 2
        waited=$((waited + 2))
        [ $((waited % 60)) -eq 0 ] && say "still $2"
    done
    wait "$1"
}

# install_requirements DIR NAME FILE...: requirement files.
install_requirements() {
    local dir=$1 name=$2 file arguments=()
    shift 2
    for file in "$@"; do arguments+=(--requirement "$file"); done
    step "$dir" "$name" "$(hash_of "$CONSTRAINTS" "$@")" "installing $*" \
        pip_install "$dir" "${arguments[@]}"
}

# install_project DIR: MSSDF itself, editable, so that it is what stands in the repository.
install_project() {
    step "$1" project "$(hash_of setup.py mssdf/version.py) $PWD" \
        'installing MSSDF itself (editable)' \
        pip_install "$1" --no-deps --no-build-isolation --editable .
    "$1/bin/python" -c 'import mssdf' || die "$1: import mssdf fails (see the lines above)"
}

# relax_opencv DIR: opencv-python wants the system's libGL, which a bare machine lacks; its headless
# twin does not.
relax_opencv() {
    "$1/bin/python" -c 'import cv2' 2>/dev/null && return
    say "$1: opencv-python does not load here (no libGL?)," \
        "installing opencv-python-headless in its place"
    "$1/bin/python" -m pip uninstall --quiet --yes opencv-python opencv-python-headless
    pip_install "$1" opencv-python-headless && "$1/bin/python" -c 'import cv2' ||
        die "$1: OpenCV does not load (see the lines above)"
}

# make_checks_environment DIR: with what style, types and the site need; no torch.
make_checks_environment() {
    make_venv "$1"
    install_requirements "$1" checks requirements/checks.txt requirements/docs.txt
}

# make_runtime_environment DIR FROM: with the runtime requirements alone; torch from the environment
# FROM if it is there.
make_runtime_environment() {
    make_venv "$1"
    if [ -f "$2/.mssdf-torch" ]; then share_torch "$2" "$1"; else install_torch "$1"; fi
    install_mmcv_without_ops "$1"
    install_requirements "$1" runtime requirements/runtime.txt
    relax_opencv "$1"
}

# make_test_environment DIR: with all that the tests need, mmcv's compiled ops and MSSDF itself
# included.
make_test_environment() {
    make_venv "$1"
    install_torch "$1"
    install_mmcv_with_ops "$1"
    install_requirements "$1" tests requirements/runtime.txt requirements/segmentation.txt \
        requirements/detection.txt requirements/preparation.txt requirements/tests.txt \
        requirements/checks.txt requirements/docs.txt
    relax_opencv "$1"
    install_project "$1"
}

# use_test_environment DIR: set $python to its interpreter, and what every test runs with.
use_test_environment() {
    python=$(cd "$1/bin" && pwd)/python
    # One thread per process: small tensors gain nothing from more, and results stay comparable.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MPLBACKEND=Agg
}
