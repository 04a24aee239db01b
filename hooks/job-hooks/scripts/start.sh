#!/bin/sh
# The way into an instance: finds a Node and becomes the agent. Exit 69: there is none.
here=$(cd "${0%/*}" && pwd)
. "$here/find-node.sh"
if baton_find_node; then
  exec "$baton_node" "$here/agent.mjs"
fi
echo "Baton: no Node 20 or newer in this instance: looked at BATON_NODE, PATH and ${BATON_PROGRAM_DIRECTORY:-(no runner folder given)}/externals. Install one in the image, or use an image with GitHub's runner in it." >&2
exit 69
