# Messages for a person. Progress and failures go to standard error, so standard output holds only what was asked for.

if [[ -t 2 && -z "${NO_COLOR:-}" ]]; then
  BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  BOLD='' RED='' GREEN='' PLAIN=''
fi

say() { printf '%s\n' "$*" >&2; }
title() { printf '%s\n' "$BOLD$*$PLAIN" >&2; }
warn() { printf '%s\n' "${RED}warning:$PLAIN $*" >&2; }
fail() { printf '%s\n' "${RED}error:$PLAIN $*" >&2; }

# Ends the script with one clear message.
die() {
  fail "$@"
  exit 1
}

# Wrong arguments: the usage of the calling script, exit 64.
die_usage() {
  fail "$1"
  usage >&2
  exit 64
}
