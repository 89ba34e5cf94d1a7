#!/bin/sh
# redis_answers.sh HOST PORT: a before_start hook. Exit 0 when Redis answers there; 75 when it does not yet, and
# circusd asks again after a while.
[ "$(redis-cli -h "$1" -p "$2" ping 2>/dev/null)" = PONG ] || exit 75
