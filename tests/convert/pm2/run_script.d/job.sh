#!/bin/bash
echo "job got $1"
exec sleep 3600
