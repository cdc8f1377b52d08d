#!/bin/bash
# Starts the broker with a cluster id that belongs to its volume.
#
# In: KAFKA_LOG_DIRS, a folder inside the volume. Out: CLUSTER_ID for the image's own start script.
# The image has one fixed id for everybody; services tell by a new id that a broker lost its log
# (and publish again what it held), so an empty volume must come with an id of its own.
set -euo pipefail

kept=$(dirname "$KAFKA_LOG_DIRS")/cluster.id
if [ ! -s "$kept" ]; then
    # 16 random bytes in base64, without the two signs that ids may not have.
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'Aa' | tr -d '=')
    echo "$id" > "$kept.new"
    mv "$kept.new" "$kept"
fi
CLUSTER_ID=$(cat "$kept")
export CLUSTER_ID
exec /etc/kafka/docker/run
