"""The command line: see the head of the package."""

import sys

from peers import install, serve

if __name__ == "__main__":
    if sys.argv[1] == "install":
        install.main(sys.argv[2], sys.argv[3])
    else:
        serve.main(sys.argv[2], sys.argv[3], int(sys.argv[4]))
