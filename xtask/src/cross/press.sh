#!/bin/sh
# Presses Ctrl-C on a Windows program, which Wine gives a console where it is started in a terminal.
#
# cargo runs it in the place of the command's test program and names that one first: it is the process that has the lock,
# which `tokenkeep sign-out` waits for when the key is pressed. Ends with 0 only if that ended with 130, long before
# its own limit of 30 s, and the cache is what it was.
set -eu
holder=$1
home=$(mktemp -d)
cache="$home/cache.json"
said="$home/said"
on_windows="Z:$(printf %s "$cache" | tr / '\\')"
printf '%s' '{"Account":{"u.t-login.microsoftonline.com-t":{"home_account_id":"u.t","environment":"login.microsoftonline.com",
"realm":"t","local_account_id":"u","username":"anna@example.org","authority_type":"MSSTS"}}}' > "$cache"
cp "$cache" "$home/before"

HOLD_LOCK_OF="$on_windows" timeout 90 wine "$holder" --exact holder::holds_a_lock_for_another_test --nocapture \
  > "$home/held" 2>&1 &
held=$!
trap 'kill $held 2>/dev/null; rm -rf "$home"' EXIT

# until_in FILE TEXT: at most twenty seconds.
until_in() {
  tries=200
  until grep -q "$2" "$1" 2>/dev/null; do
    tries=$((tries - 1))
    if [ $tries = 0 ]; then echo "press.sh: no \"$2\" in twenty seconds: $(cat "$1")" >&2; return 1; fi
    sleep 0.1
  done
}
until_in "$home/held" "has the lock"

# The keyboard stays connected for a while after the key, as a person's does.
program="$(dirname "$(dirname "$holder")")/tokenkeep.exe"
code=0
{ until_in "$said" Waiting && sleep 0.5 && printf '\003'; sleep 4; } |
  timeout 20 script --quiet --flush --return \
    --command "wine '$program' sign-out --all --yes --timeout 30 --cache-path '$on_windows'" "$said" > /dev/null || code=$?
cmp "$cache" "$home/before"
if [ $code != 130 ] || ! grep -q "was cancelled" "$said"; then
  echo "press.sh: ended with $code instead of 130: $(cat "$said")" >&2
  exit 1
fi
echo "Ctrl-C ended the wait with 130"
