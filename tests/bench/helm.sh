#!/usr/bin/env bash
# How long `helm template` takes for one shoot, beside espalier for all of them:
#   tests/bench/helm.sh ESPALIER HELM LANDSCAPE PROJECT/SHOOT
# The chart has what espalier renders for that shoot, one template per component, with the shoot's names as values: helm does no
# more than to fill these in. espalier renders every shoot of the landscape from its templates, secrets' names and digests included.
# Prints wall time, processor time and peak memory of both; divide espalier's by the number of shoots.
set -euo pipefail
espalier=$1 helm=$2 landscape=$3 shoot=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
project=${shoot%/*} name=${shoot#*/} now=2026-11-01T00:00:00Z
(cd "$landscape" && "$espalier" render "$shoot" --now $now --split-dir "$work/files" >/dev/null 2>&1)
mkdir -p "$work/chart/templates"
printf 'apiVersion: v2\nname: shoot\nversion: 0.1.0\n' >"$work/chart/Chart.yaml"
printf 'project: %s\nname: %s\n' "$project" "$name" >"$work/chart/values.yaml"
find "$work/files" -name '*.yaml' | while read -r file; do
  target=$work/chart/templates/$(realpath --relative-to="$work/files" "$file" | tr / _)
  # What looks like a template and is text stays text.
  sed -e 's/{{/\x01/g; s/}}/\x02/g' -e 's/\x01/{{ "{{" }}/g; s/\x02/{{ "}}" }}/g' \
    -e "s/shoot--$project--$name/shoot--{{ .Values.project }}--{{ .Values.name }}/g" "$file" >"$target"
done
measured='%e s, %U s of processor time, %M kB'
echo "helm, 1 shoot: $(/usr/bin/time -f "$measured" "$helm" template shoot "$work/chart" 2>&1 >"$work/helm.yaml" | tail -1)"
echo "  objects: $(grep -c '^kind:' "$work/helm.yaml"), bytes: $(wc -c <"$work/helm.yaml")"
count=$(cd "$landscape" && find . -path '*/shoots/*.yaml' | wc -l)
took=$(cd "$landscape" && /usr/bin/time -f "$measured" "$espalier" render --all --now $now 2>&1 >"$work/all.yaml" | tail -1)
echo "espalier, $count shoots: $took"
echo "  objects: $(grep -c '^kind:' "$work/all.yaml"), bytes: $(wc -c <"$work/all.yaml")"
