#!/bin/sh
# A foreign engine in a few lines of shell: it asks five times a leaf and takes every choice for a sample.
# The first argument, if any, names the clause of the engine contract that it breaks.
set -u
work=$SDG_WORK out=$SDG_WORK/out breaks=${1:-} samples=0 leaves=0 sequence=0
put() { mkdir -p "${1%/*}" && cat >"$work/.part" && mv "$work/.part" "$1"; }
end() {
  [ "$breaks" = result ] ||
    printf '{"exitCode": %d, "leavesDone": %d, "leavesFailed": 0, "samples": %d}' "$1" "$leaves" "$samples" | put "$out/result.json"
  exit "$1"
}
ask() { # prompt; the answer goes to $work/answer, its HTTP status to $status
  waited=0
  while :; do
    status=$(printf 'Authorization: Bearer %s' "$(cat "$SDG_TEACHER_TOKEN_FILE")" | curl -s -m 20 -o "$work/answer" -w '%{http_code}' \
      -H @- -d "{\"model\": \"$SDG_TEACHER_MODEL\", \"prompt\": \"$1\", \"n\": ${choices:-2}}" "$SDG_TEACHER_URL/completions")
    case $status in
      200) return ;;
      401 | 403 | 404) [ "$breaks" = refused ] && end 40; end 20 ;;
    esac
    [ "$breaks" = unavailable ] && end 21
    waited=$((waited + 1))
    [ "$waited" -lt $((2 * SDG_TEACHER_PATIENCE_SECONDS)) ] || end 30
    sleep 0.5
  done
}
trap 'end 31' TERM

case $breaks in
  stop) trap '' TERM ;;
  files) echo left >"$HOME/.cache" ;;
  tmp) echo left >"/tmp/sdg-conformance-stray-$$" ;;
  arguments) sh -c 'sleep 0.5; :' "$(cat "$SDG_TEACHER_TOKEN_FILE")" ;;
  network) curl -s -m 1 "http://127.0.0.1:$2/" ;;
  secrets) mkdir -p "$out/logs" && cat "$SDG_TEACHER_TOKEN_FILE" >"$out/logs/engine.log" ;;
  bound)
    for i in 1 2 3 4 5; do
      printf 'Authorization: Bearer %s' "$(cat "$SDG_TEACHER_TOKEN_FILE")" | curl -s -o "$work/$i" -H @- \
        -d '{"model": "teacher", "prompt": "a", "n": 8}' "$SDG_TEACHER_URL/completions" &
    done
    wait ;;
  alone) choices=12 ;;
  resume) [ -d "$work/in/checkpoints" ] && end 40 ;;
esac
ids=$(sed -n 's/^ *"id": "\(.*\)",$/\1/p' "$work/in/settings.json")
[ -n "$ids" ] || [ "$breaks" = invalid ] || end 10
[ "$breaks" = token ] && curl -s -d '{"model": "teacher", "prompt": "a"}' "$SDG_TEACHER_URL/completions" >/dev/null
for id in $ids; do
  digest=$(grep -A 4 "\"$id\"" "$work/in/settings.json" | sed -n 's/.*"inputDigest": "\(.*\)",/\1/p')
  kept=$work/in/checkpoints/$id/all.jsonl
  if [ ! -f "$kept" ] || [ "$breaks" = afresh ]; then
    kept=$work/$id.rows
    : >"$kept"
    for i in 1 2 3 4 5; do
      ask "$id $i"
      grep -o '"text": "[^"]*"' "$work/answer" | sed 's/"text"\(.*\)/{"document": "d", "domain": "d", "output"\1}/' >>"$kept"
      [ "$breaks" = checkpoints ] && mkdir -p "$out/checkpoints/$id" && cat "$kept" >>"$out/checkpoints/$id/all.jsonl"
    done
    put "$out/checkpoints/$id/all.jsonl" <"$kept"
  fi
  put "$out/leaves/$id/samples.jsonl" <"$kept"
  count=$(grep -c . "$kept")
  [ "$breaks" = leaves ] && count=$((count + 1))
  printf '{"leaf": "%s", "inputDigest": "%s", "outcome": "done", "samples": %d}' "$id" "$digest" "$count" |
    put "$out/leaves/$id/leaf.json"
  leaves=$((leaves + 1)) samples=$((samples + count)) sequence=$((sequence + 1))
  if [ "$breaks" = progress ]; then
    printf '{"phase": ' >"$out/progress.json" && sleep 0.3 && printf '"generating"}' >>"$out/progress.json"
  else
    printf '{"phase": "generating", "leavesDone": %d, "sequence": %d}' "$leaves" "$sequence" | put "$out/progress.json"
  fi
done
end 0
