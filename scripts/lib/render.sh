# Configuration files from the templates in infra.d, and folders for servers that run as a user of their own.

# render TEMPLATE TARGET NAME=VALUE...: replaces @NAME@; a name left over is a mistake.
render() {
  local template=$SCRIPTS/infra.d/$1 target=$2 text pair
  shift 2
  text=$(<"$template")
  for pair in "$@"; do text=${text//@${pair%%=*}@/${pair#*=}}; done
  [[ ! $text =~ @[A-Z_]+@ ]] || die "$template: nothing given for ${BASH_REMATCH[0]}"
  mkdir -p "$(dirname "$target")"
  printf '%s\n' "$text" >"$target"
}

# as_user USER: sets AS_USER to the words that run a command as USER; empty when we are not root ourselves.
as_user() {
  AS_USER=()
  ((EUID != 0)) || AS_USER=(setpriv --reuid="$1" --regid="$1" --init-groups --)
}

# server_folder NAME USER: sets FOLDER to a folder that USER owns and can enter. A data folder below a private home
# cannot be entered by another user: then it is under /var/lib/fieldwatch.
server_folder() {
  FOLDER=$DATA/$1
  if ((EUID != 0)); then
    mkdir -p "$FOLDER"
    return
  fi
  as_user "$2"
  mkdir -p "$DATA"
  "${AS_USER[@]}" test -x "$DATA" || FOLDER=$(outside_folder)/$1
  (umask 022 && mkdir -p "$FOLDER")
  chown "$2:" "$FOLDER"
}

outside_folder() { echo "/var/lib/fieldwatch/$INSTANCE-$(cksum <<<"$DATA" | cut -d' ' -f1)"; }

# secret_file NAME [PREFIX]: the file of that name in the data folder, made once with 256 random bits, readable by us only.
secret_file() {
  local file=$DATA/$1
  if [[ ! -s $file ]]; then
    mkdir -p "$DATA"
    (umask 077 && printf '%s%s' "${2:-}" "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" >"$file.new")
    mv "$file.new" "$file"
  fi
  echo "$file"
}
