#!/bin/sh
# Adds what fuzzing found to the committed inputs, and keeps of all only those that cover most: in
# a good minute's fuzzing many thousand inputs are new, and a few tell as much.
#   minimise.sh PROGRAMS TARGET...     PROGRAMS is the folder that run.sh kept its finds in
set -eu
programs=$1
shift
inputs=$(dirname "$0") most=45

for target; do
    name=${target#fuzz_} merged=$programs/merged
    rm -rf "$merged"
    mkdir -p "$merged" "$inputs/corpus/$name" "$programs/found/$name"
    "$programs/$target" -set_cover_merge=1 \
        "$merged" "$inputs/corpus/$name" "$programs/found/$name" 2>&1 \
        | grep -a 'MERGE-OUTER.*new files'
    # They were written in the order of what each adds.
    (cd "$merged" && ls -tr | tail -n "+$((most + 1))" | xargs rm -f)
    rm -rf "${inputs:?}/corpus/$name"
    mv "$merged" "$inputs/corpus/$name"
done
