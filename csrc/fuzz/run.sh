#!/bin/sh
# Runs fuzz targets one after the other, and says at the end how often each was executed.
#   run.sh PROGRAMS SECONDS TARGET...     PROGRAMS is the folder that holds them
# What they find to be new is kept in PROGRAMS/found, and findings in PROGRAMS/findings. FUZZ_ARGS
# are given to each. Exit status 1 if one had a finding, or was interrupted.
set -u
programs=$1 seconds=$2
shift 2
inputs=$(dirname "$0")
mkdir -p "$programs/findings"
: > "$programs/table"
failed=

for target; do
    name=${target#fuzz_} log=$programs/$target.log
    mkdir -p "$programs/found/$name"
    set -- "$programs/found/$name"
    for folder in "$inputs"/*/"$name"; do
        [ -d "$folder" ] && set -- "$@" "$folder"
    done
    echo "==> $target, $seconds seconds"
    # The log has everything; of what it says in between, the progress is shown.
    {
        # shellcheck disable=SC2086
        "$programs/$target" -max_total_time="$seconds" -print_final_stats=1 -timeout=10 \
            -artifact_prefix="$programs/findings/$name-" ${FUZZ_ARGS:-} "$@" 2>&1
        echo "exit status $?"
    } | tee "$log" | grep -a -E --line-buffered \
            'pulse|INITED|DONE|does not hold|ERROR|SUMMARY|written to'
    grep -a -q '^exit status 0$' "$log" || failed="$failed $target"
    awk -v target="$target" '
        /^stat::number_of_executed_units/ { runs = $2 }
        /^Done .* second/ { seconds = $5 }
        END { printf "%-16s %12d %8d\n", target, runs, seconds }' "$log" >> "$programs/table"
done

printf '\n%-16s %12s %8s\n' target executions seconds
cat "$programs/table"
if [ -n "$failed" ]; then
    echo "FAILED:$failed. What they said is in $programs, TARGET.log; to see a finding again, run" \
        "the program there with the file that it names"
    exit 1
fi
