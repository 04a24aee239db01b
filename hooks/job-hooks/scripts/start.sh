#!/bin/sh
# The first program in an instance: finds a Node and becomes the agent. Exits with 69 if there is none.
here=$(cd "${0%/*}" && pwd)
. "$here/find-node.sh"
if baton_find_node; then
  exec "$baton_node" "$here/agent.mjs"
fi
echo "Baton: no Node 20 or newer in this instance. Looked in BATON_NODE, PATH and ${BATON_PROGRAM_DIRECTORY:-(no runner folder given)}/externals. Install one in the image, or use an image that contains GitHub's runner." >&2
exit 69
