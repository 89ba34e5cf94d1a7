#!/bin/sh
# nginx.sh FOLDER FRONT_PORT WEB_PORT: nginx in the foreground, on the socket that NGINX in the environment names by its
# descriptor. As root its workers run as www-data, elsewhere all of it as whoever runs this.
set -eu
folder=$1
mkdir -p "$folder"
sed -e "s/@FRONT_PORT@/$2/; s/@WEB_PORT@/$3/" configs/full-stack/nginx.conf >"$folder/nginx.conf.$$"
mv "$folder/nginx.conf.$$" "$folder/nginx.conf"
# A pid file of its own: while one nginx follows another there are two of them for a moment.
more="daemon off; pid nginx-$$.pid;"
if [ "$(id -u)" -eq 0 ]; then
    more="$more user www-data;"
fi
exec /usr/sbin/nginx -p "$folder" -c nginx.conf -e stderr -g "$more"
