#!/bin/sh
# run_as.sh USER COMMAND [ARGUMENT...]: COMMAND as USER where root runs the stack, and as whoever runs it
# otherwise, so that one configuration serves both. Both outputs of COMMAND go to standard output: one log.
# A configuration that only root runs says `uid` and `gid` instead.
set -eu
user=$1
shift
exec 2>&1
if [ "$(id -u)" -ne 0 ]; then
    exec "$@"
fi
as_user() {
    setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups --inh-caps=-all --no-new-privs "$@"
}
# A clone below a private directory (/root) is out of that user's reach, by its absolute name at least. Only what is
# read from there needs it: a server of the system's never runs as root for that.
case "$*" in
    *configs/app/*)
        if ! as_user test -r "$PWD/configs/app/work.py"; then
            echo "run_as.sh: user $user cannot read $PWD: running as root"
            exec "$@"
        fi ;;
esac
exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups --inh-caps=-all --no-new-privs "$@"
