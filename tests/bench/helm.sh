#!/usr/bin/env bash
# How long `helm template` takes for one shoot, beside espalier for all of them:
#   tests/bench/helm.sh ESPALIER HELM LANDSCAPE PROJECT/SHOOT
# The chart has as many objects as espalier renders for that shoot, one template per component, with the shoot's names as values:
# what goes into the seed, and what ManagedResources carry into the shoot. helm does no more than to fill the names in; espalier
# renders every shoot of the landscape from its templates, secrets' names, digests and packed objects included.
# Prints wall time, processor time and peak memory, the median of both; divide espalier's by the number of shoots.
set -euo pipefail
espalier=$1 helm=$2 landscape=$3 shoot=$4 runs=${RUNS:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
project=${shoot%/*} name=${shoot#*/} now=2026-11-01T00:00:00Z

as_template() { # What looks like a template and is text stays text.
  sed -e 's/{{/\x01/g; s/}}/\x02/g' -e 's/\x01/{{ "{{" }}/g; s/\x02/{{ "}}" }}/g' \
    -e "s/shoot--$project--$name/shoot--{{ .Values.project }}--{{ .Values.name }}/g"
}
timed() { # a command whose output goes to a file; what it took, to the end of another
  /usr/bin/time -f '%e s, %U s of processor time, %M kB' "${@:3}" 2>&1 >"$1" | tail -1 >>"$2"
}
median() { sort -n "$1" | sed -n "$((($(wc -l <"$1") + 1) / 2))p"; }
size() { echo "  objects: $(grep -c '^kind:' "$1"), bytes: $(wc -c <"$1")"; }

(cd "$landscape" && "$espalier" render "$shoot" --now $now --split-dir "$work/files" >/dev/null 2>&1)
mkdir -p "$work/chart/templates"
printf 'apiVersion: v2\nname: shoot\nversion: 0.1.0\n' >"$work/chart/Chart.yaml"
printf 'project: %s\nname: %s\n' "$project" "$name" >"$work/chart/values.yaml"
find "$work/files" -name '*.yaml' | while read -r file; do
  target=$work/chart/templates/$(realpath --relative-to="$work/files" "$file" | tr / _)
  as_template <"$file" >"$target"
  number=0
  sed -nE 's/^  data\.yaml: ([A-Za-z0-9+/=]+)$/\1/p' "$file" | while read -r packed; do
    number=$((number + 1))
    base64 -d <<<"$packed" | as_template >"${target%.yaml}-$number.yaml"
  done
done
count=$(cd "$landscape" && find . -path '*/shoots/*.yaml' | wc -l)
cd "$landscape"
# By turns: a machine may be faster now and slower then.
for _ in $(seq "$runs"); do
  timed "$work/helm.yaml" "$work/helm.times" "$helm" template shoot "$work/chart"
  timed "$work/all.yaml" "$work/all.times" "$espalier" render --all --now $now
  timed "$work/helm.yaml" "$work/helm.times" "$helm" template shoot "$work/chart"
done
echo "helm, 1 shoot: $(median "$work/helm.times")"
size "$work/helm.yaml"
echo "espalier, $count shoots: $(median "$work/all.times")"
size "$work/all.yaml"
echo "  objects in ManagedResources of $shoot: $(cat "$work"/chart/templates/*-[0-9]*.yaml | grep -c '^kind:')"
